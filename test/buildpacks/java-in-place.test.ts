import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { BuildTool } from '../../buildpacks/java/build-tool.ts'
import { startInPlace } from '../../buildpacks/java/in-place.ts'
import type { Jdk } from '../../buildpacks/java/jdk.ts'
import { App, type BuildContext, Log } from '../../buildpacks/sdk/index.ts'
import { classFile } from '../helpers/class-file.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { type Tree, writeTree } from '../helpers/tree.ts'
import { zip, zipOf } from '../helpers/zip.ts'

const executable = zip({ 'META-INF/MANIFEST.MF': 'Main-Class: shop.Main\n' })
const classes = zipOf({ name: 'shop/Main.class', content: classFile('shop/Main') })

/** What starts an application that its build left in place, with the paths in its directory. */
async function start(tree: Tree, tool: BuildTool = 'maven') {
  const root = await temporaryDirectory()
  const app = new App(join(root, 'app'))
  await writeTree(root, Object.fromEntries(Object.entries(tree).map(([path, entry]) => [`app/${path}`, entry])))
  let said = ''
  const note = (text: string) => void (said += text)
  const context = {
    app,
    env: {},
    log: new Log({ stdout: note, stderr: note }),
    // `jar --extract` puts the distribution's files where it runs.
    run: (_: readonly string[], { cwd }: { cwd: string }) => writeTree(cwd, { 'shop-1.0/bin/shop': '' }),
  } as unknown as BuildContext
  // Maven copies the libraries that the project needs.
  const run = () => writeTree(app.path, { 'target/bale-libraries/a.jar': executable })
  const openMaven = () => Promise.resolve({ name: 'mvn', run })
  const tools = { jdk: { home: '/jdk', env: {} } as Jdk, temp: root, start: new Date(), openMaven }
  const image = await startInPlace(context, 'the Procfile', tools, tool)
  const inApp = (word: string) => word.replaceAll(`${app.path}/`, '')
  const commands = image.processes.map(({ type, command }) => `${type}: ${command.map(inApp).join(' ')}`)
  return { commands, said, shown: image.shown, app }
}

describe('an application that a Procfile starts in place', () => {
  it.each<[BuildTool, Tree, string]>([
    ['maven', { 'target/shop.jar': executable }, 'web: java -jar target/shop.jar'],
    ['gradle', { 'build/libs/shop.jar': executable }, 'web: java -jar build/libs/shop.jar'],
    ['maven', { 'target/shop.jar': classes }, 'web: java -cp target/shop.jar:target/bale-libraries/* shop.Main'],
    ['sbt', { 'target/universal/stage/bin/shop': '' }, 'web: target/universal/stage/bin/shop'],
    ['gradle', { 'build/distributions/shop.zip': zip({}) }, 'web: build/distributions/shop/shop-1.0/bin/shop'],
  ])('has the web process that %s makes, if the Procfile has none: %o', async (tool, tree, command) => {
    const { commands, app, shown } = await start({ Procfile: 'worker: java -jar target/x.jar', ...tree }, tool)
    expect(commands).toEqual([command])
    expect(shown).toBe(`${command.slice('web: '.length)}, and what the Procfile says`)
    for (const path of Object.keys(tree)) expect(await app.has(path)).toBe(true)
  })

  it('has the web process of the Procfile', async () => {
    const { commands, shown } = await start({
      Procfile: 'web: java -jar target/shop.jar',
      'target/shop.jar': executable,
    })
    expect(commands).toEqual([])
    expect(shown).toBe('what the Procfile says')
  })

  it('has none with a warning, if nothing else can be started', async () => {
    const tree = { 'a/target/a.jar': executable, 'b/target/b.jar': executable }
    const { commands, said } = await start({ Procfile: 'worker: java -jar a/target/a.jar', ...tree })
    expect(commands).toEqual([])
    expect(said).toContain(
      'The image has no process web: several archives can be started: a/target/a.jar, b/target/b.jar',
    )
    expect(said).toContain('Add a line "web:" to the Procfile')
  })
})
