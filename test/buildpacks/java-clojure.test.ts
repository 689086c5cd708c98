import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { buildWithToolsDeps } from '../../buildpacks/java/clojure.ts'
import { buildToolOf } from '../../buildpacks/java/build-tool.ts'
import { type BuildContext, Log } from '../../buildpacks/sdk/index.ts'
import { appOf } from '../helpers/app.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import type { Tree } from '../helpers/tree.ts'

/** Builds with a `java` that writes the class path that the real one would, and returns the commands. */
async function build(tree: Tree, env: Record<string, string> = {}) {
  const temp = await temporaryDirectory()
  const commands: string[][] = []
  const context = {
    app: await appOf(tree),
    env,
    log: new Log({ stdout: () => {}, stderr: () => {} }),
    layer: (name: string) => Promise.resolve({ path: `/layers/${name}` }),
    run: async (command: string[]) => {
      commands.push(command)
      const result = command.at(-1) ?? ''
      if (command.includes('classes')) await writeFile(result, `src\n/m2/clojure.jar\n/m2/data.json.jar\n`)
    },
  } as unknown as BuildContext
  const jdk = { home: '/jdk', version: '21', env: {} }
  const artifact = await buildWithToolsDeps(context, { jdk, temp, openMaven: () => Promise.reject(new Error()) })
  return { artifact, commands, temp }
}

describe('an application of deps.edn', () => {
  it('has what was compiled before its libraries on the class path', async () => {
    const { artifact, commands, temp } = await build({ 'deps.edn': '{}' })
    const paths = [join(temp, 'application.jar'), '/m2/clojure.jar', '/m2/data.json.jar']
    expect(artifact).toEqual({ kind: 'class path', paths, main: 'bale.start' })
    expect(commands.map(([program]) => program)).toEqual(['/jdk/bin/java', '/jdk/bin/jar'])
  })

  it('is built by build.clj if there is one, with the alias and function of a setting', async () => {
    const { artifact, commands } = await build({ 'deps.edn': '{}', 'build.clj': '' })
    expect(artifact).toBeUndefined()
    expect(commands).toHaveLength(1)
    expect(commands[0]?.join(' ')).toContain(' own build uber ')
    const env = { BP_CLJ_TOOLS_BUILD_ARGUMENTS: '-T:package all' }
    expect((await build({ 'build.clj': '' }, env)).commands[0]?.join(' ')).toContain(' own package all ')
    // The alias may have its function in another file.
    expect((await build({ 'deps.edn': '{}' }, env)).commands[0]?.join(' ')).toContain(' own package all ')
  })

  it.each(['uber', '-X:build uber', '-T:build', '-T:build uber :lib x'])('is not built with %j', async setting => {
    const refused = build({ 'build.clj': '' }, { BP_CLJ_TOOLS_BUILD_ARGUMENTS: setting })
    expect(await failureOf(refused)).toMatchObject({
      where: 'BP_CLJ_TOOLS_BUILD_ARGUMENTS',
      fix: 'write "-T:build uber"',
    })
  })

  it('is one of Leiningen’s if that has a project', async () => {
    expect(await buildToolOf(await appOf({ 'deps.edn': '', 'project.clj': '' }), {})).toBe('leiningen')
    expect(await buildToolOf(await appOf({ 'deps.edn': '' }), {})).toBe('tools.deps')
  })
})
