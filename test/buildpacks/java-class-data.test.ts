import { mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { provideClassData, sortClasses } from '../../buildpacks/java/class-data.ts'
import type { Switch } from '../../buildpacks/java/launch-script.ts'
import { type App, type BuildContext, type LayerDefinition, Log, type RunOptions } from '../../buildpacks/sdk/index.ts'
import { appOf } from '../helpers/app.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { zip } from '../helpers/zip.ts'

const layerTime = new Date('1980-01-01T00:00:01Z')
const timeOf = async (path: string) => (await stat(path)).mtime

type Command = readonly string[]

/** A context whose layers are made, and whose programs `run` stands in for. */
async function contextOf(
  app: App,
  env: Record<string, string>,
  run: (command: Command, options: RunOptions) => Promise<void>,
) {
  const dir = await temporaryDirectory()
  const keys: LayerDefinition['key'][] = []
  const context = {
    app,
    env,
    log: new Log({ stdout: () => {}, stderr: () => {} }),
    layer: async (name: string, definition: LayerDefinition) => {
      keys.push(definition.key)
      await mkdir(join(dir, name))
      await definition.create(join(dir, name))
      return { path: join(dir, name), notes: {} }
    },
    run: async (command: Command, options: RunOptions = {}) => {
      await run(command, options)
      return { exitCode: 0, stdout: '', stderr: '' }
    },
  } as unknown as BuildContext
  return { context, keys, dir }
}

describe('class data', () => {
  const jre = { home: '/jre', env: {}, digest: 'sha256:0' }
  const manifest = 'Main-Class: shop.Shop\r\nClass-Path: lib/a.jar\r\n'
  const tree = {
    'shop.jar': zip({ 'META-INF/MANIFEST.MF': manifest }),
    'lib/a.jar': zip({}),
    'config/application.yml': 'a: 1',
  }

  /** The application's start writes a log beside what it reads. */
  async function provide(env: Record<string, string>, switches: readonly Switch[]) {
    const app = await appOf(tree)
    const commands: Command[] = []
    const { context, keys } = await contextOf(app, env, async (command, { cwd = app.path }) => {
      commands.push(command)
      const list = command.find(word => word.startsWith('-XX:DumpLoadedClassList='))?.split('=')[1]
      if (list === undefined) return
      await writeFile(list, 'shop/Shop id: 0\n')
      await stat(join(cwd, 'config/application.yml'))
      await writeFile(join(cwd, 'shop.log'), 'started')
    })
    await provideClassData(context, jre, app.at('shop.jar'), switches)
    return { app, key: JSON.stringify(keys[0]), training: commands[0]?.join(' ') ?? '' }
  }

  it('leaves nothing that the application writes in the image', async () => {
    expect(await (await provide({}, [])).app.has('shop.log')).toBe(false)
  })

  it('changes the times of the class path alone, as other files may be another user’s', async () => {
    const { app } = await provide({}, [])
    for (const name of ['shop.jar', 'lib/a.jar']) expect(await timeOf(app.at(name))).toEqual(layerTime)
    expect(await timeOf(app.at('config/application.yml'))).not.toEqual(layerTime)
  })

  it('has a key that says no password, and tells options apart', async () => {
    const { key, training } = await provide({ TRAINING_RUN_JAVA_TOOL_OPTIONS: '-Dpassword=secret' }, [])
    expect(training).toContain(' -Dpassword=secret ')
    expect(key).not.toContain('secret')
    expect((await provide({ TRAINING_RUN_JAVA_TOOL_OPTIONS: '-Dpassword=other' }, [])).key).not.toBe(key)
  })

  it('is of a start with the options that are on at each start', async () => {
    const aot = { variables: ['BPL_SPRING_AOT_ENABLED'], option: '-Dspring.aot.enabled=true' }
    const env = { BP_SPRING_AOT_ENABLED: 'true' }
    expect((await provide(env, [{ ...aot, isOn: true }])).training).toContain(` ${aot.option} -jar `)
    expect((await provide({}, [{ ...aot, isOn: false }])).training).not.toContain(aot.option)
    // Without process-aot there is no such switch, and with the option the application would not start.
    expect((await provide(env, [])).training).not.toContain(aot.option)
  })

  it('is of the same classes in the same order, whatever threads loaded first', () => {
    const one =
      '# a comment\nshop/B id: 2\njava/lang/Object id: 0\n@lambda-proxy shop/B run\nshop/Own id: 3 super: 0 source: x.jar\n'
    const other = 'java/lang/Object id: 0\n@lambda-proxy shop/B run\nshop/B id: 7\nshop/B id: 7\n'
    expect(sortClasses(one)).toBe('@lambda-proxy shop/B run\njava/lang/Object\nshop/B\n')
    expect(sortClasses(other)).toBe(sortClasses(one))
  })
})
