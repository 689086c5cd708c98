import { describe, expect, it } from 'vitest'
import { join } from 'node:path'
import { mkdir } from 'node:fs/promises'
import { placeArtifact } from '../../buildpacks/java/image-files.ts'
import { startInPlace } from '../../buildpacks/java/in-place.ts'
import type { Jdk } from '../../buildpacks/java/jdk.ts'
import { App, type BuildContext, Log } from '../../buildpacks/sdk/index.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { type Tree, writeTree } from '../helpers/tree.ts'
import { zip } from '../helpers/zip.ts'

/** An application as its build leaves it. */
async function built(tree: Tree) {
  const root = await temporaryDirectory()
  const app = new App(join(root, 'app'))
  await writeTree(app.path, tree)
  const temp = join(root, 'temp')
  await mkdir(temp)
  const context = { app, env: {}, log: new Log({ stdout: () => {}, stderr: () => {} }) } as unknown as BuildContext
  const openMaven = () => Promise.reject(new Error('Maven is not needed'))
  return { app, context, tools: { jdk: {} as Jdk, temp, start: new Date(), openMaven } }
}

describe('Play', () => {
  it.each(['com.typesafe.play.play-server_2.13-2.9.5', 'org.playframework.play-server_3-3.0.6', 'play-server_3-3.0.6'])(
    'writes no file with its process id: %s',
    async name => {
      const stage = 'target/universal/stage'
      const tree = { [`${stage}/bin/shop`]: '', [`${stage}/lib/${name}.jar`]: zip({}) }
      const { app, context, tools } = await built(tree)
      const options = ['-Dpidfile.path=/dev/null']
      expect(await startInPlace(context, 'the Procfile', tools, 'sbt')).toMatchObject({ options })
      const artifact = { kind: 'distribution', path: app.at(stage) } as const
      expect(await placeArtifact(context, artifact, tools)).toMatchObject({ options, shown: 'bin/shop' })
    },
  )

  it('is not what another library is', async () => {
    const { context, tools } = await built({
      Procfile: 'web: x',
      'lib/com.typesafe.play.play-json_2.13-2.10.6.jar': zip({}),
    })
    expect(await startInPlace(context, 'the Procfile', tools, 'sbt')).toMatchObject({ options: [] })
  })
})

it('a class path keeps its order, and archives of the same name', async () => {
  const paths = ['web/z-1.0.jar', 'core/a-1.0.jar', 'api/a-1.0.jar']
  const { app, context, tools } = await built(Object.fromEntries(paths.map(path => [path, zip({})])))
  const artifact = { kind: 'class path', paths: paths.map(path => app.at(path)), main: 'shop.Main' } as const
  const { processes, components } = await placeArtifact(context, artifact, tools)
  const classPath = ['lib/1/z-1.0.jar', 'lib/2/a-1.0.jar', 'lib/3/a-1.0.jar'].map(path => app.at(path)).join(':')
  expect(processes[0]?.command).toEqual(['java', '-cp', classPath, 'shop.Main'])
  for (const path of classPath.split(':')) expect(await app.has(path.slice(app.path.length + 1))).toBe(true)
  expect(components.map(({ name }) => name)).toEqual(['z', 'a', 'a'])
})
