import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuildContext, digestOf, isSet } from '../sdk/index.ts'
import { debugScript } from './debugger.ts'
import { memoryScript } from './memory.ts'
import { namesProgram } from './scripts.ts'

/** Package managers that run in Node, as Bun does not. */
const managersInNode = ['npm', 'npx', 'yarn', 'pnpm', 'pnpx', 'corepack']

/**
 * Programs that the launcher runs before the process. They run by name, each with the variables of the ones before it.
 * @param starts the start commands
 */
export async function provideLaunchPrograms({ env, layer }: BuildContext, starts: readonly string[]): Promise<void> {
  const manager = managersInNode.find(name => starts.some(command => namesProgram(command, [name])))
  const programs = {
    debugger: debugScript(manager),
    memory: memoryScript('/sys/fs/cgroup', isSet(env, 'BP_NODE_OPTIMIZE_MEMORY')),
  }
  await layer('launch-programs', {
    types: { launch: true },
    key: { programs: digestOf(JSON.stringify(programs)) },
    create: async dir => {
      await mkdir(join(dir, 'exec.d'))
      for (const [name, text] of Object.entries(programs))
        await writeFile(join(dir, 'exec.d', name), text, { mode: 0o755 })
    },
  })
}
