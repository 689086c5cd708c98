import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { requireBuildpackApi } from '../../../lifecycle/spec/api.ts'
import { parseLaunch } from '../../../lifecycle/spec/launch.ts'
import { parseLayerToml } from '../../../lifecycle/spec/layer.ts'
import {
  type BuildContext,
  buildPlan,
  BuildpackError,
  defineBuildpack,
  type DetectResult,
  fail,
  pass,
  shellProcess,
  shellQuote,
  textOf,
} from '../../../buildpacks/sdk/index.ts'
import { runBuildpack } from '../../../buildpacks/sdk/run.ts'
import { buildpackDir, openProject, projectOf } from './project.ts'

async function detecting(result: () => DetectResult) {
  const buildpack = defineBuildpack({ detect: result, build: () => ({}) })
  return (await openProject({ buildpack, dir: await buildpackDir(), app: {} })).detect()
}

describe('detect', () => {
  it('passes with a plan and its reason', async () => {
    const plan = buildPlan().provides('node').requires('node', { version: '24' }).or().provides('node', 'npm')
    expect(await detecting(() => pass('package.json', plan))).toEqual({
      exitCode: 0,
      output: 'package.json\n',
      plan: {
        provides: [{ name: 'node' }],
        requires: [{ name: 'node', metadata: { version: '24' } }],
        or: [{ provides: [{ name: 'node' }, { name: 'npm' }] }],
      },
    })
  })

  it('fails with status 100 and its reason', async () => {
    expect(await detecting(() => fail('no package.json'))).toEqual({
      exitCode: 100,
      output: 'no package.json\n',
      plan: undefined,
    })
  })

  it('errs with status 1: place, problem and fix, no stack', async () => {
    const outcome = await detecting(() => {
      throw new BuildpackError('is not JSON', { where: 'package.json:3', fix: 'remove the comma' })
    })
    expect(outcome).toEqual({
      exitCode: 1,
      output: 'Error: package.json:3: is not JSON\n  remove the comma\n',
      plan: undefined,
    })
  })

  it('shows the stack of what is a bug in the buildpack', async () => {
    const { exitCode, output } = await detecting(() => {
      throw new TypeError('x is undefined')
    })
    expect(exitCode).toBe(1)
    expect(output).toContain('run.test.ts')
    expect(output).toContain('bug in the buildpack')
  })
})

describe('build', () => {
  it('C01 begins with an empty store if the one it finds is damaged', async () => {
    let seen: unknown
    const project = await projectOf(context => {
      seen = context.store
      return { store: { count: 1 } }
    })
    await writeFile(join(project.layersDir, 'store.toml'), '[metadata')
    expect((await project.build()).exitCode).toBe(0)
    expect(seen).toEqual({})
  })

  it('C07 says what to do about a full disk, without a stack', async () => {
    const project = await projectOf(() => {
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
    })
    expect(await project.build()).toMatchObject({
      exitCode: 1,
      output: 'Error: ENOSPC: no space left on device, write\n  free some space on the disk\n',
    })
  })

  it('writes processes, labels and slices, store and unmet plan entries', async () => {
    const project = await projectOf(() => ({
      launch: {
        processes: [
          shellProcess('web', 'node "a b.js"', { default: true }),
          { type: 'w', command: ['w'], args: ['-v'] },
        ],
        labels: [{ key: 'a', value: 'b' }],
        slices: [{ paths: ['node_modules'] }],
      },
      store: { count: 1 },
      unmet: ['jdk'],
    }))
    const outcome = await project.build()
    expect(outcome).toMatchObject({
      exitCode: 0,
      store: { metadata: { count: 1 } },
      build: { unmet: [{ name: 'jdk' }] },
    })
    expect(outcome.launch).toEqual({
      labels: [{ key: 'a', value: 'b' }],
      processes: [
        { type: 'web', command: ['bash', '-c', 'node "a b.js"', 'bash'], default: true },
        { type: 'w', command: ['w'], args: ['-v'] },
      ],
      slices: [{ paths: ['node_modules'] }],
    })
  })

  it('writes documents that the lifecycle reads', async () => {
    const project = await projectOf(async context => {
      await context.layer('tool', {
        types: { launch: true, cache: true },
        key: { Tool: '1.0' },
        create: () => Promise.resolve({ notes: { a: 'b' } }),
      })
      const slices = [{ paths: ['node_modules'] }]
      return { launch: { processes: [shellProcess('web', 'echo "$PORT"', { default: true })], slices } }
    })
    await project.build()
    const features = requireBuildpackApi('0.10', 'example/test')
    const launch = parseLaunch(await project.read('layers/launch.toml'), 'launch.toml', features)
    expect(launch).toEqual({
      processes: [
        { type: 'web', command: ['bash', '-c', 'echo "$PORT"', 'bash'], args: [], direct: true, default: true },
      ],
      labels: [],
      slices: [{ paths: ['node_modules'] }],
    })
    const layer = parseLayerToml(await project.read('layers/tool.toml'), 'tool.toml')
    expect(layer.types).toEqual({ launch: true, build: false, cache: true })
  })

  it('knows the plan, the store, the target and the user’s variables', async () => {
    let seen: Partial<BuildContext> = {}
    const project = await projectOf(
      context => {
        seen = context
        return { store: { count: ((context.store['count'] as number | undefined) ?? 0) + 1 } }
      },
      { env: { BP_GREETING: 'hello', CNB_EXEC_ENV: 'test' } },
    )
    await project.build({ entries: [{ name: 'node', metadata: { version: '24' } }, { name: 'npm' }] })
    expect(seen.plan).toEqual([
      { name: 'node', metadata: { version: '24' } },
      { name: 'npm', metadata: {} },
    ])
    expect(seen.target).toEqual({ os: 'linux', arch: 'amd64', distro: { name: 'debian', version: '13' } })
    expect(seen.env?.['BP_GREETING']).toBe('hello')
    expect(seen.execEnv).toBe('test')
    expect(seen.buildpack).toMatchObject({ id: 'example/test', version: '1.2.3' })
    await project.nextBuild()
    expect((await project.build()).store).toEqual({ metadata: { count: 2 } })
  })

  it('D13 refuses a process type that cannot be a file’s name', async () => {
    const project = await projectOf(() => ({ launch: { processes: [{ type: '..', command: ['x'] }] } }))
    expect((await project.build()).exitCode).toBe(1)
  })
})

describe('programs', () => {
  it('show their lines indented', async () => {
    const project = await projectOf(async ({ run }) => {
      await run(['sh', '-c', 'echo one; echo two >&2'])
      return {}
    })
    const { output } = await project.build()
    expect(output.split('\n').toSorted()).toEqual(['', '    one', '    two'])
  })

  it('that fail are an error with what they said, even quiet ones', async () => {
    const project = await projectOf(async ({ run }) => {
      await run(['sh', '-c', 'echo no space left; exit 3'], { quiet: true, name: 'the installer', fix: 'make room' })
      return {}
    })
    expect(await project.build()).toMatchObject({
      exitCode: 1,
      output: '    no space left\nError: the installer failed with exit status 3\n  make room\n',
    })
  })

  it('may fail if the buildpack says so; a signal is a status', async () => {
    let statuses: number[] = []
    const project = await projectOf(async ({ run }) => {
      const commands = ['exit 7', 'kill -9 $$']
      const results = commands.map(script => run(['sh', '-c', script], { allowFailure: true }))
      statuses = (await Promise.all(results)).map(result => result.exitCode)
      return {}
    })
    await project.build()
    expect(statuses).toEqual([7, 137])
  })

  it('that are not there are an error that says so', async () => {
    const project = await projectOf(async ({ run }) => {
      await run(['no-such-program'])
      return {}
    })
    expect((await project.build()).output).toBe('Error: no-such-program is not in the build image\n')
  })

  it('E06 get NODE_OPTIONS of the user, which the buildpack itself does not run with', async () => {
    let stdout = ''
    const options = '--max-old-space-size=4096'
    const project = await projectOf(
      async ({ run }) => {
        stdout = (await run(['sh', '-c', 'echo $NODE_OPTIONS'], { quiet: true })).stdout
        return {}
      },
      { env: { NODE_OPTIONS: options } },
    )
    await project.build()
    expect(stdout).toBe(`${options}\n`)
  })

  it('get the variables of the context, changed or taken away', async () => {
    let stdout = ''
    const project = await projectOf(
      async ({ run }) => {
        const env = { KEPT: 'yes', GONE: undefined }
        stdout = (await run(['sh', '-c', 'echo $KEPT$GONE$BP_X'], { env, quiet: true })).stdout
        return {}
      },
      { env: { GONE: 'gone', BP_X: 'x' } },
    )
    await project.build()
    expect(stdout).toBe('yesx\n')
  })
})

describe('the application', () => {
  it('is read without a byte order mark; what is not a file is an error', async () => {
    const project = await projectOf(
      async ({ app, log }) => {
        log.info(
          `${await app.read('a.txt')} ${await app.read('none')} ${await app.has('dir')} ${await app.hasDirectory('dir')}`,
        )
        await app.read('dir')
        return {}
      },
      { app: { 'a.txt': '\u{FEFF}text' } },
    )
    await mkdir(join(project.appDir, 'dir'))
    expect(await project.build()).toMatchObject({
      exitCode: 1,
      output: '  text undefined false true\nError: dir: is not a regular file\n',
    })
  })
})

describe('S19 the text of a file', () => {
  it.each([
    ['UTF-8', Buffer.from('grün')],
    ['UTF-8 with a mark', Buffer.from('\u{FEFF}grün')],
    ['UTF-16, little end first', Buffer.from('\u{FEFF}grün', 'utf16le')],
    ['UTF-16, big end first', Buffer.from('\u{FEFF}grün', 'utf16le').swap16()],
  ])('is read in %s', (_encoding, bytes) => expect(textOf(bytes)).toBe('grün'))
})

describe('without a lifecycle', () => {
  it('says what is missing', async () => {
    const output: string[] = []
    const write = (text: string) => void output.push(text)
    const invocation = { phase: 'detect', env: {}, cwd: '/', output: { stdout: write, stderr: write } }
    const runner = () => Promise.reject(new Error('nothing is run'))
    const buildpack = defineBuildpack({ detect: () => pass(''), build: () => ({}) })
    expect(await runBuildpack(buildpack, { ...invocation, runner })).toBe(1)
    expect(output.join('')).toContain('CNB_PLATFORM_DIR is not set')
  })
})

describe('shellQuote', () => {
  it.each([
    ['main:app', 'main:app'],
    ['src/a b.py', "'src/a b.py'"],
    ["it's $HOME", `'it'\\''s $HOME'`],
  ])('%s', (text, quoted) => expect(shellQuote(text)).toBe(quoted))
})
