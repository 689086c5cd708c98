import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuildContext, digestOf, isSet } from '../sdk/index.ts'
import { debugScript } from './debugger.ts'
import { memoryScript } from './memory.ts'

/** Programs that the launcher runs before the process. They run by name, each with the variables of the ones before it. */
export async function provideLaunchPrograms({ env, layer }: BuildContext): Promise<void> {
  const programs = {
    debugger: debugScript,
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
