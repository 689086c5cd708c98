/** platform.md#launcher Inputs: which process, which arguments, which way. */
import { expect, it } from 'vitest'
import { buildpack, describeLauncher, isOneErrorLine, link, processType, webMetadata } from './harness.ts'

const metadata = '/layers/config/metadata.toml'

const platformApis = ['0.7', '0.8', '0.9', '0.10', '0.11', '0.12', '0.13', '0.14', '0.15']
const buildpackApis = ['0.7', '0.8', '0.9', '0.10', '0.11', '0.12']
const minor = (api: string): number => Number(api.slice(2))

describeLauncher('every API', run => {
  // Since Buildpack API 0.9 all processes are direct. Arguments can be overridden where both sides know of it: since
  // Platform API 0.10 and Buildpack API 0.9.
  for (const platform of platformApis)
    it(`Platform API ${platform}: shell or direct, arguments appended or replaced, with each Buildpack API`, async () => {
      for (const api of buildpackApis) {
        const process = { command: ['show', 'fixed'], args: ['$NAME'], 'buildpack-id': 'acme/one' }
        const tree = {
          [metadata]: buildpack('acme/one', api) + processType('web', process),
          '/layers/acme_one/l/profile.d/x': 'export SOURCED=1',
        }
        const env = { NAME: 'value', CNB_PLATFORM_API: platform }
        const isDirect = minor(api) >= 9
        const byDefault = isDirect ? '$NAME' : 'value'
        const { app, stderr } = await run(tree, { env })
        expect([stderr, api, app.argv]).toEqual(['', api, ['show', 'fixed', byDefault]])
        expect([api, app.env.SOURCED]).toEqual([api, isDirect ? undefined : '1'])

        const replaced = isDirect && minor(platform) >= 10
        const mine = await run(tree, { env, args: ['mine'] })
        expect([api, mine.app.argv]).toEqual([api, ['show', 'fixed', ...(replaced ? [] : [byDefault]), 'mine']])
      }
    })

  for (const api of buildpackApis)
    it(`Buildpack API ${api}: a process says whether it is direct`, async () => {
      const process = { command: ['show'], args: ['$HOME'], direct: true, 'buildpack-id': 'acme/one' }
      const tree = { [metadata]: buildpack('acme/one', api) + processType('web', process) }
      expect((await run(tree)).app.argv).toEqual(['show', '$HOME'])
      const shell = { [metadata]: buildpack('acme/one', api) + processType('web', { ...process, direct: false }) }
      expect((await run(shell, { env: { HOME: '/h' } })).app.argv).toEqual(['show', '/h'])
    })

  it('nothing is deprecated: CNB_DEPRECATION_MODE changes nothing', async () => {
    for (const mode of ['warn', 'quiet', 'error', 'odd']) {
      const env = { CNB_PLATFORM_API: '0.7', CNB_DEPRECATION_MODE: mode }
      const { code, stderr } = await run({ [metadata]: webMetadata('0.7') }, { env })
      expect([mode, code, stderr]).toEqual([mode, 0, ''])
    }
  })
})

describeLauncher('platform API', run => {
  for (const api of ['0.6', '0.16', '0', '1', '1.0', '0.07', '0.100', '0.7 ', 'v0.7', '0.', '\x1b[31m'])
    it(`${JSON.stringify(api)} is refused with 11, before anything else is read`, async () => {
      const { code, stderr } = await run({}, { env: { CNB_PLATFORM_API: api } })
      expect(code).toBe(11)
      expect(stderr).toContain('use 0.7, 0.8, 0.9, 0.10, 0.11, 0.12, 0.13, 0.14 or 0.15')
      expect(isOneErrorLine(stderr)).toBe(true)
    })

  for (const api of [undefined, ''])
    it(`${JSON.stringify(api)} counts as not set: 11`, async () => {
      const { code, stderr } = await run({ [metadata]: webMetadata() }, { env: { CNB_PLATFORM_API: api } })
      expect([code, stderr]).toEqual([
        11,
        expect.stringMatching(/^ERROR: CNB_PLATFORM_API is not set; set it to .*\n$/),
      ])
    })
})

describeLauncher('buildpack API', run => {
  for (const api of ['0.6', '0.13', '1.0', ''])
    it(`${JSON.stringify(api)} is refused with 12, also for a command of the user's`, async () => {
      const result = await run({ [metadata]: webMetadata(api) }, { as: 'launcher', args: ['--', 'show'] })
      expect(result.code).toBe(12)
      expect(result.stderr).toMatch(
        /^ERROR: buildpack "acme\/one": Buildpack API ".*" is not supported; .*0\.7 to 0\.12\n$/,
      )
    })

  it('a buildpack without one is refused with 12', async () => {
    expect((await run({ [metadata]: '[[buildpacks]]\nid = "a"\n' })).code).toBe(12)
  })
})

describeLauncher('process choice', run => {
  const two = (direct: boolean): string =>
    buildpack('acme/one', '0.8') +
    processType('web', { command: ['show'], args: ['from web'], direct, 'buildpack-id': 'acme/one' }) +
    processType('worker', { command: 'show', args: ['from worker'], direct: true, 'buildpack-id': 'acme/one' })

  for (const [as, args, expected] of [
    ['/cnb/process/web', [], ['show', 'from web']],
    ['web', [], ['show', 'from web']],
    ['/else/where/worker', [], ['show', 'from worker']],
    ['/cnb/process/worker/', [], ['show', 'from worker']],
    ['/cnb/process/worker', ['x'], ['show', 'from worker', 'x']],
    ['/cnb/process/worker', ['--', 'x'], ['show', 'from worker', '--', 'x']],
    ['/cnb/lifecycle/launcher', ['--', 'show', '--', 'a b'], ['show', '--', 'a b']],
    ['/cnb/lifecycle/launcher', ['show', 'a b'], ['show', 'a b']],
    ['/cnb/lifecycle/launcher', ['show; true'], ['show']],
    ['/cnb/process/other', ['show', 'a'], ['show', 'a']],
    ['/cnb/lifecycle/launcher', ['show', 'web'], ['show', 'web']],
  ] as const)
    it(`${as} ${JSON.stringify(args)} runs ${JSON.stringify(expected)}`, async () => {
      const { app, code, stderr } = await run({ [metadata]: two(true) }, { as, args })
      expect([app.argv, code, stderr]).toEqual([expected, 0, ''])
    })

  it('CNB_PROCESS_TYPE chooses nothing, and says so', async () => {
    const { app, stderr } = await run({ [metadata]: two(true) }, { env: { CNB_PROCESS_TYPE: 'worker' } })
    expect(app.argv).toEqual(['show', 'from web'])
    expect(stderr).toMatch(/^Warning: CNB_PROCESS_TYPE is ignored; .*\n$/)
  })

  it('without a process and a command: 82 and the types there are', async () => {
    const { code, stderr } = await run({ [metadata]: two(true) }, { as: '/cnb/lifecycle/launcher' })
    expect(code).toBe(82)
    expect(stderr).toContain('"launcher" is not a process type of this image, which has "web", "worker"')
    expect(isOneErrorLine(stderr)).toBe(true)
  })

  it('without any process: 82', async () => {
    const { code, stderr } = await run({ [metadata]: '' }, { as: 'launcher' })
    expect([code, stderr]).toEqual([82, expect.stringContaining('this image has no process types')])
  })

  for (const args of [['--'], ['--', ''], ['']])
    it(`${JSON.stringify(args)} is not a command: 82`, async () => {
      const { code, stderr } = await run({ [metadata]: '' }, { as: 'launcher', args })
      expect([code, isOneErrorLine(stderr)]).toEqual([82, true])
    })

  it('the last of several processes of a type counts', async () => {
    const toml =
      processType('web', { command: ['false'], direct: true }) +
      processType('web', { command: ['show', 'last'], direct: true })
    expect((await run({ [metadata]: toml })).app.argv).toEqual(['show', 'last'])
  })

  it('a process of a buildpack that is not listed: 82', async () => {
    const toml = processType('web', { command: ['show'], 'buildpack-id': 'acme/gone' })
    const { code, stderr } = await run({ [metadata]: toml })
    expect([code, stderr]).toEqual([
      82,
      expect.stringContaining('buildpack "acme/gone", which metadata.toml does not list'),
    ])
  })

  it('a process without a command: 82', async () => {
    const { code, stderr } = await run({ [metadata]: processType('web', { command: [], args: ['x'], direct: true }) })
    expect([code, stderr]).toEqual([82, 'ERROR: process type "web" has no command\n'])
  })
})

describeLauncher('argv[0]', run => {
  it('the command is argv[0], as it was written', async () => {
    const toml = processType('web', { command: ['{root}/bin/show'], direct: true })
    expect((await run({ [metadata]: toml })).app.argv).toEqual(['/bin/show'])
  })
})

describeLauncher('execution environment', run => {
  const processes = (...execEnv: (string[] | undefined)[]): string =>
    execEnv
      .map((only, i) =>
        processType('web', { command: ['show', `${i}`], direct: true, ...(only ? { 'exec-env': only } : {}) }),
      )
      .join('')

  for (const [title, toml, execEnv, expected] of [
    ['none given', processes(undefined), 'test', '0'],
    ['an empty list', processes([]), 'test', '0'],
    ['"*"', processes(['*']), 'test', '0'],
    ['the current one', processes(['a', 'test']), 'test', '0'],
    ['production is the default', processes(['production']), undefined, '0'],
    ['an empty variable means production', processes(['production']), '', '0'],
    ['one of two', processes(['test'], ['production']), 'test', '0'],
    ['the other of two', processes(['test'], ['production']), undefined, '1'],
  ] as const)
    it(`eligible: ${title}`, async () => {
      const env = { CNB_PLATFORM_API: '0.15', CNB_EXEC_ENV: execEnv }
      const { app, code } = await run({ [metadata]: toml }, { env })
      expect([code, app.argv[1]]).toEqual([0, expected])
      expect(app.env.CNB_EXEC_ENV).toBe(execEnv)
    })

  it('not eligible: 82, and where it would be', async () => {
    const { code, stderr } = await run(
      { [metadata]: processes(['test'], ['a', 'b']) },
      { env: { CNB_PLATFORM_API: '0.15' } },
    )
    expect(code).toBe(82)
    expect(stderr).toBe(
      'ERROR: process type "web" does not run in execution environment "production", only in "test", "a", "b"; set CNB_EXEC_ENV to one of these\n',
    )
  })

  it('a user command is no reason to run a process that is not eligible', async () => {
    const { code } = await run(
      { [metadata]: processes(['test']) },
      { args: ['show'], env: { CNB_PLATFORM_API: '0.15' } },
    )
    expect(code).toBe(82)
  })

  it('is unknown before Platform API 0.15', async () => {
    for (const api of platformApis.slice(0, -1)) {
      const { code } = await run({ [metadata]: processes(['test']) }, { env: { CNB_PLATFORM_API: api } })
      expect([api, code]).toEqual([api, 0])
    }
  })
})

describeLauncher('working directory', run => {
  const at = (workingDir?: string): string =>
    processType('web', {
      command: ['show'],
      direct: true,
      ...(workingDir === undefined ? {} : { 'working-dir': workingDir }),
    })

  for (const [workingDir, expected] of [
    [undefined, '/workspace'],
    ['', '/workspace'],
    ['sub', '/workspace/sub'],
    ['./sub/..', '/workspace'],
    ['{root}/other', '/other'],
  ] as const)
    it(`${JSON.stringify(workingDir)} is ${expected}`, async () => {
      const { app } = await run({ [metadata]: at(workingDir), '/workspace/sub/': '', '/other/': '' })
      expect(app.cwd).toBe(expected)
    })

  it('a command with a slash is relative to it', async () => {
    const toml = processType('web', { command: ['./run'], direct: true, 'working-dir': 'sub' })
    const { app } = await run({ [metadata]: toml, '/workspace/sub/run': link('{root}/bin/show') })
    expect(app.argv).toEqual(['./run'])
  })

  it('the app directory missing: 82', async () => {
    const { code, stderr } = await run({ [metadata]: at() }, { env: { CNB_APP_DIR: '{root}/gone' } })
    expect([code, stderr]).toEqual([82, 'ERROR: cannot enter the app directory /gone: no such file or directory\n'])
  })

  it('relative CNB_APP_DIR and CNB_LAYERS_DIR count from where we are', async () => {
    const tree = { '/layers/config/metadata.toml': webMetadata(), '/layers/acme_one/l/bin/': '' }
    const { app } = await run(tree, {
      cwd: '{root}/bin',
      env: { CNB_APP_DIR: '../workspace/', CNB_LAYERS_DIR: '../layers//' },
    })
    expect([app.cwd, app.env.PATH]).toEqual(['/workspace', '/bin/../layers/acme_one/l/bin:/bin:/usr/bin:/bin'])
  })
})

describeLauncher('commands that cannot run', run => {
  const command = (...words: string[]): string => processType('web', { command: words, direct: true })

  it('not in PATH: 82, the command, the process and PATH', async () => {
    const { code, stderr } = await run({ [metadata]: command('nope') }, { env: { PATH: '/cnb/process:/x:/y' } })
    expect(code).toBe(82)
    expect(stderr).toBe('ERROR: cannot run "nope" of process type "web": no such program in PATH, which is "/x:/y"\n')
  })

  for (const PATH of [undefined, '/cnb/process'])
    it(`PATH ${JSON.stringify(PATH)}: 82`, async () => {
      const { code, stderr } = await run({ [metadata]: command('show') }, { env: { PATH } })
      expect([code, stderr]).toEqual([82, expect.stringContaining('PATH is not set')])
    })

  it('the PATH is the one that layers make, and a directory or a plain file in it is passed over', async () => {
    const { app, code } = await run(
      {
        [metadata]: webMetadata(),
        '/layers/acme_one/a/bin/show/': '',
        '/layers/acme_one/b/bin/show': 'not executable',
        '/layers/acme_one/c/bin/show': link('{root}/bin/show'),
      },
      { env: { PATH: '/usr/bin' } },
    )
    expect([code, app.argv]).toEqual([0, ['show']])
  })

  for (const [title, entry, expected] of [
    ['not executable', 'x', 'cannot run /bin/tool: permission denied; make it executable'],
    [
      'without an interpreter',
      { content: '#!/no/such/shell\n', mode: 0o755 },
      'the interpreter of this script or program is not in the image',
    ],
    ['of no format', { content: 'echo', mode: 0o755 }, 'not an executable for this machine'],
    ['empty', { content: '', mode: 0o755 }, 'not an executable for this machine'],
  ] as const)
    it(`a program ${title}: 82`, async () => {
      const { code, stderr } = await run({ [metadata]: command('tool'), '/bin/tool': entry })
      expect([code, stderr]).toEqual([82, expect.stringContaining(expected)])
      expect(isOneErrorLine(stderr)).toBe(true)
    })

  it('a path to nothing: 82', async () => {
    const { code, stderr } = await run({ [metadata]: command('/no/such/tool') })
    expect([code, stderr]).toEqual([82, 'ERROR: cannot run /no/such/tool: no such file or directory\n'])
  })

  it("once it runs, the exit code and the signal are the app's", async () => {
    expect((await run({ [metadata]: command('sh', '-c', 'exit 7') })).code).toBe(7)
    expect((await run({ [metadata]: command('sh', '-c', 'kill -TERM $$') })).signal).toBe('SIGTERM')
  })

  it('the app replaces the launcher: one process', async () => {
    expect((await run({ [metadata]: command('sh', '-c', 'echo $PPID') })).stdout).toBe(`${process.pid}\n`)
  })
})
