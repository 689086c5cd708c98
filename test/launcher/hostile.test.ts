/**
 * Group L of the hostile inputs, as far as it stands in no other file here: L04, L05, L10, L11, L12 are in execd.test.ts,
 * L06 and L07 in shell.test.ts, more of L01 in metadata.test.ts, the E cases in env.test.ts.
 *
 * The oracle: ends within the deadline, 82 and one line on stderr for the launcher's own failures, nothing escaped from.
 */
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { skip } from '../helpers/skip.ts'
import {
  buildpack,
  describeLauncher,
  fifo,
  isOneErrorLine,
  link,
  parseShown,
  processType,
  script,
  webMetadata,
} from './harness.ts'

const metadata = '/layers/config/metadata.toml'

describeLauncher('hostile', (run, launcher) => {
  for (const [title, tree, expected] of [
    ['a directory', { [`${metadata}/x`]: '' }, 'cannot read /layers/config/metadata.toml: not a regular file'],
    ['a fifo', { [metadata]: fifo }, 'cannot read /layers/config/metadata.toml: not a regular file'],
    ['a device', { [metadata]: link('/dev/zero') }, 'cannot read /layers/config/metadata.toml: not a regular file'],
    [
      '100 MB',
      { [metadata]: { zeros: 100 << 20 } },
      '/layers/config/metadata.toml is too large: the limit is 16777216 bytes',
    ],
    ['garbage', { [metadata]: Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0]) }, ':1: '],
  ] as const)
    it(`L01 metadata: ${title}`, async () => {
      const { code, stderr } = await run(tree)
      expect([code, stderr]).toEqual([82, expect.stringContaining(expected)])
      expect(isOneErrorLine(stderr)).toBe(true)
    })

  it('L01 metadata: missing, which is not a launch: 1', async () => {
    const { code, stderr } = await run({})
    const expected = 'cannot read /layers/config/metadata.toml: no such file or directory'
    expect([code, stderr]).toEqual([1, expect.stringContaining(expected)])
  })
  it('L01 metadata: 15 MB of another tool’s data is read in time', async () => {
    const { code } = await run({ [metadata]: `${webMetadata()}[[bom]]\nx = "${'y'.repeat(15 << 20)}"\n` })
    expect(code).toBe(0)
  })

  it('L02 an unknown process: the name is shown, escaped', async () => {
    const { code, stderr } = await run({ [metadata]: webMetadata() }, { as: '/cnb/process/no\n\x1b[31mpe\u009b' })
    expect(code).toBe(82)
    expect(stderr).toContain('"no\\n\\x1b[31mpe\\xc2\\x9b" is not a process type of this image, which has "web"')
    expect(isOneErrorLine(stderr)).toBe(true)
  })

  it('L03 neither profile.d nor exec.d nor env, nor any layer', async () => {
    const both = webMetadata('0.8').replace('true', 'false')
    for (const toml of [webMetadata(), both]) expect((await run({ [metadata]: toml })).code).toBe(0)
  })

  const odd = [
    'a b',
    '  ',
    '',
    '"',
    "'",
    '--',
    '-',
    '\\',
    '*',
    '$HOME',
    '`id`',
    '$(id)',
    '\n',
    '\x1b[31m',
    'é\u{1F600}',
    '#',
    '!',
    '~',
  ]
  it('L08 arguments reach a direct process as they are', async () => {
    expect((await run({ [metadata]: webMetadata() }, { args: odd })).app.argv).toEqual(['show', ...odd])
    expect((await run({ [metadata]: '' }, { as: 'launcher', args: ['--', 'show', ...odd] })).app.argv).toEqual([
      'show',
      ...odd,
    ])
  })

  it('L08 and one with a shell, where they hold nothing to expand', async () => {
    const plain = odd.filter(word => !/[$`]/.test(word))
    expect((await run({ [metadata]: '' }, { as: 'launcher', args: ['show', ...plain] })).app.argv).toEqual([
      'show',
      ...plain,
    ])
  })

  it('L08 a megabyte of arguments', async () => {
    const args = Array.from({ length: 10 }, () => 'x'.repeat(100_000))
    expect((await run({ [metadata]: webMetadata() }, { args })).app.argv.slice(1)).toEqual(args)
    expect((await run({ [metadata]: '' }, { as: 'launcher', args: ['show', ...args] })).app.argv.slice(1)).toEqual(args)
  })

  // Linux takes a quarter of the stack's limit, 2 MB by default, for arguments and environment together.
  const megabytes = processType('web', {
    command: ['show'],
    args: Array.from({ length: 20 }, () => 'x'.repeat(110_000)),
    direct: true,
  })
  it('L08 more than 2 MB of arguments: 82, and why', async () => {
    const { code, stderr } = await run({ [metadata]: megabytes }, { odd: 'stack-8' })
    expect([code, stderr]).toEqual([
      82,
      'ERROR: cannot run /bin/show: arguments and environment are too long; use fewer of them\n',
    ])
  })

  it('L08 more than 2 MB of arguments reach the app where the stack may be larger', async context => {
    const { code, app } = await run({ [metadata]: megabytes }, { odd: 'stack-64' })
    if (code === 77) skip(context, 'the hard limit of the stack is below 64 MB')
    expect([code, app.argv.slice(1).join('').length]).toEqual([0, 2_200_000])
  })

  it('L08 one argument that is too long: 82, and which', async () => {
    const toml = processType('web', { command: ['show'], args: ['x', 'y'.repeat(140_000)], direct: true })
    const { code, stderr } = await run({ [metadata]: toml })
    expect([code, stderr]).toEqual([
      82,
      'ERROR: cannot run /bin/show: argument 2 has 140000 bytes, and the limit is 131071\n',
    ])
  })

  for (const direct of [true, false])
    it(`L09 the working directory is missing (${direct ? 'direct' : 'shell'})`, async () => {
      const toml = processType('web', { command: ['show'], direct, 'working-dir': '/no/such/dir' })
      const { code, stderr } = await run({ [metadata]: toml })
      expect([code, stderr]).toEqual([
        82,
        'ERROR: cannot enter the working directory /no/such/dir: no such file or directory\n',
      ])
    })

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1'] as const)
    for (const direct of [true, false])
      it(`L10 ${signal} reaches the app (${direct ? 'direct' : 'shell'})`, async () => {
        const body = `trap "echo got; exit 5" ${signal.slice(3)}; : > ready; while :; do sleep 0.01; done`
        const toml = processType('web', { command: ['app'], args: direct ? [] : ['x'], direct })
        const { code, stdout } = await run(
          { [metadata]: toml, '/bin/app': script(body) },
          {
            meanwhile: async (child, root) => {
              while (!existsSync(`${root}/workspace/ready`)) await sleep(5)
              child.kill(signal)
            },
          },
        )
        expect([code, stdout]).toEqual([5, 'got\n'])
      })

  // qemu always gives an argv.
  if (!launcher.emulator)
    it('L13 an empty argv', async () => {
      const { code, stderr } = await run({ [metadata]: webMetadata() }, { odd: 'empty-argv' })
      expect([code, stderr]).toEqual([
        82,
        expect.stringContaining('"" is not a process type of this image, which has "web"'),
      ])
    })

  for (const as of ['', '/', '.', '..', '/cnb/process/..', 'web/', '../web'])
    it(`L13 argv[0] ${JSON.stringify(as)}`, async () => {
      const { code } = await run({ [metadata]: webMetadata(), '/layers/acme_one/l/env.launch/': '' }, { as })
      expect(code).toBe(as.includes('web') ? 0 : 82)
    })

  it('L13 a process type that would leave its directory', async () => {
    const { code, stderr } = await run(
      { [metadata]: processType('..', { command: ['show'], direct: true }) },
      { as: '..' },
    )
    expect([code, stderr]).toEqual([82, 'ERROR: a process type may not be . or ..\n'])
  })

  it('L13 a type with a slash matches nothing', async () => {
    const toml = processType('a/web', { command: ['show'], direct: true })
    expect((await run({ [metadata]: toml }, { as: 'a/web' })).code).toBe(82)
  })

  it('L14 no HOME, no user, nothing but PATH', async () => {
    const { code, app } = await run({ [metadata]: webMetadata() })
    expect([code, Object.keys(app.env)]).toEqual([0, ['PATH']])
  })

  it('L14 a root that nobody can write to', async context => {
    const tree = {
      [metadata]: webMetadata(),
      '/layers/acme_one/l/exec.d/x': script('touch new 2>/dev/null || echo "X = \'read-only\'" >&3'),
    }
    for (const options of [{}, { as: 'launcher', args: ['show', 'x'] }]) {
      const { code, app, stderr } = await run(tree, { odd: 'read-only', ...options })
      if (code === 77) return skip(context, 'no user and mount namespaces here')
      expect([stderr, code, app.env.X]).toEqual(['', 0, 'read-only'])
    }
  })

  it('L14 an arbitrary uid that can write nothing', async context => {
    if (process.getuid?.() !== 0) return skip(context, 'only root can become another user')
    const tree = { [metadata]: webMetadata(), '/layers/acme_one/l/exec.d/x': script('echo "X = \'$(id -u)\'" >&3') }
    const { code, app, stderr } = await run(tree, { uid: 123_456 })
    expect([stderr, code, app.env.X]).toEqual(['', 0, '123456'])
    const shell = await run(tree, { uid: 123_456, as: 'launcher', args: ['show', 'x'] })
    expect([shell.code, shell.app.argv]).toEqual([0, ['show', 'x']])
  })

  it('L15 of two variables of one name the last counts, and the app sees one', async () => {
    const { app } = await run({ [metadata]: webMetadata() }, { odd: 'duplicate-env' })
    expect(app.entries.filter(entry => entry.startsWith('TWICE='))).toEqual(['TWICE=last'])
    if (!launcher.emulator) expect(app.entries).toContain('no equals sign') // qemu drops it
  })

  for (const kind of ['closed', 'closed-0'])
    it(`L16 ${kind === 'closed' ? 'standard input, output and error closed' : 'standard input closed'}: exec.d and the app run all the same`, async () => {
      const tree = {
        [metadata]: webMetadata(),
        '/layers/acme_one/l/exec.d/x': script('echo out; echo err >&2; cat; echo "X = \'1\'" >&3'),
        '/layers/acme_one/l/env/Y': 'y',
      }
      const { code, file } = await run(tree, { odd: kind, env: { SHOW_TO: '{root}/workspace/shown', SHOW_FDS: '1' } })
      expect(code).toBe(0)
      const { env, entries } = parseShown(await file('/workspace/shown'))
      expect([env.X, env.Y]).toEqual(['1', 'y'])
      // Filled with /dev/null: what the app opens first does not become its standard output.
      expect(entries.filter(entry => /^fd [0-9]$/.test(entry)).slice(0, 3)).toEqual(['fd 0', 'fd 1', 'fd 2'])
    })

  it('L16 an error with nowhere to go still is 82', async () => {
    expect((await run({ [metadata]: 'garbage' }, { odd: 'closed' })).code).toBe(82)
  })

  // Under qemu it would be qemu's own calls that are refused.
  if (!launcher.emulator)
    it('L17 a seccomp profile without newer calls', async () => {
      const tree = { [metadata]: webMetadata(), '/layers/acme_one/l/exec.d/x': script('echo "X = \'1\'" >&3') }
      const { code, app } = await run(tree, { odd: 'old-seccomp' })
      expect([code, app.env.X]).toEqual([0, '1'])
    })

  it('file descriptors the launcher was given reach the app, and none of its own', async () => {
    const tree = {
      [metadata]: webMetadata(),
      '/layers/acme_one/l/exec.d/x': script(':'),
      '/layers/acme_one/l/env/X': '',
    }
    const { app } = await run(tree, { env: { SHOW_FDS: '1' } })
    expect(app.entries.filter(entry => entry.startsWith('fd '))).toEqual(['fd 0', 'fd 1', 'fd 2'])
  })

  it('a buildpack API that would print control characters is escaped', async () => {
    const { code, stderr } = await run({ [metadata]: buildpack('a\u001b[2J', '0.1\n') })
    expect([code, isOneErrorLine(stderr)]).toEqual([12, true])
  })
})
