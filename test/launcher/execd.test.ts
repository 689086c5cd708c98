/** buildpack.md#execd and platform.md#launcher Execution 2: programs that add to the environment. */
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { skip } from '../helpers/skip.ts'
import {
  buildpack,
  describeLauncher,
  isOneErrorLine,
  link,
  processType,
  script,
  type Entry,
  type Tree,
} from './harness.ts'

const metadata = '/layers/config/metadata.toml'
const toml =
  buildpack('zeta/first') +
  buildpack('acme/second') +
  processType('web', { command: ['show'], direct: true, 'buildpack-id': 'zeta/first' })
const at = '/layers/zeta_first/l/exec.d'
const one = (entry: Entry, more: Tree = {}): Tree => ({ [metadata]: toml, [`${at}/x`]: entry, ...more })
const append = (name: string): Entry => script(`echo "ORDER = \\"$ORDER ${name}\\"" >&3`)

async function waitFor(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5)
}

describeLauncher('exec.d', run => {
  it('general ones first, in the order of buildpacks, layers and names; then those of the process', async () => {
    const { app } = await run({
      [metadata]: toml,
      '/layers/acme_second/a/exec.d/1': append('second-a-1'),
      '/layers/acme_second/a/exec.d/web/1': append('second-a-web'),
      '/layers/zeta_first/b/exec.d/1': append('first-b-1'),
      '/layers/zeta_first/a/exec.d/web/1': append('first-a-web'),
      '/layers/zeta_first/a/exec.d/worker/1': append('wrong'),
      '/layers/zeta_first/a/exec.d/2': append('first-a-2'),
      '/layers/zeta_first/a/exec.d/1.sh': append('first-a-1'),
    })
    expect(app.env.ORDER).toBe(' first-a-1 first-a-2 first-b-1 second-a-1 first-a-web second-a-web')
  })

  it("a user's command has none of a process, with and without a shell", async () => {
    const tree = { [metadata]: toml, [`${at}/1`]: append('general'), [`${at}/web/1`]: append('web') }
    for (const args of [['--', 'show'], ['show']])
      expect((await run(tree, { as: 'launcher', args })).app.env.ORDER).toBe(' general')
  })

  it('runs in the app directory, by its absolute path, in the launch environment', async () => {
    const body = 'printf \'SEEN = "%s %s %s %s"\\n\' "$PWD" "$0" "$FROM_ENV" "${CNB_LAYERS_DIR-none}" >&3'
    const { app } = await run(one(script(body), { '/layers/acme_second/l/env/FROM_ENV': 'env' }))
    expect(app.env.SEEN).toMatch(/^\S*\/workspace \S*\/layers\/zeta_first\/l\/exec\.d\/x env none$/)
  })

  it('file descriptor 3 is the only one beside the standard three', async () => {
    const body = 'for n in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$n ] && f="$f $n"; done; echo "FDS = \\"$f\\"" >&3'
    expect((await run(one(script(body)))).app.env.FDS).toBe(' 0 1 2 3')
  })

  it('its output is the log, and its input is empty: standard input is the app’s', async () => {
    const tree = one(script('cat; echo out; echo err >&2'))
    const { stdout, stderr } = await run(tree, { as: 'launcher', args: ['--', 'cat'], stdin: 'for the app' })
    expect([stdout, stderr]).toEqual(['out\nfor the app', 'err\n'])
  })

  it('may be a link to a program elsewhere', async () => {
    const { app } = await run({
      [metadata]: toml,
      [`${at}/x`]: link('../bin/helper'),
      '/layers/zeta_first/l/bin/helper': append('linked'),
    })
    expect(app.env.ORDER).toBe(' linked')
  })

  for (const [title, output, expected] of [
    ['nothing', '', undefined],
    ['only comments', '# X = "1"\n', undefined],
    ['a string', 'X = "a b"', 'a b'],
    ['escapes', 'X = "q\\"\\\\ \\t\\u00e9\\U0001F600\\n"', 'q"\\ \té\u{1F600}\n'],
    ['a literal string', "X = 'a\\b'", 'a\\b'],
    ['a string of several lines', 'X = """\none\ntwo"""', 'one\ntwo'],
    ['an empty string', 'X = ""', ''],
    ['a quoted key that needs no quotes', '"X" = "1"', '1'],
    ['the last line without its end', 'Y = "0"\nX = "1"', '1'],
    ['CRLF', 'Y = "0"\r\nX = "1"\r\n', '1'],
  ] as const)
    it(`output: ${title}`, async () => {
      const { app, code } = await run(one(script('cat output >&3'), { '/workspace/output': output }))
      expect([code, app.env.X]).toEqual([0, expected])
    })

  it('replaces what layers and the user set', async () => {
    const tree = one(script('echo \'X = "execd"\' >&3'), { '/layers/acme_second/l/env/X': 'env' })
    expect((await run(tree, { env: { X: 'user' } })).app.env.X).toBe('execd')
  })

  it('L05 PATH counts for the command and for the next program; LD_PRELOAD is the buildpack’s right', async () => {
    const { app } = await run(
      one(script('echo "PATH = \\"$PATH:/added\\"\nLD_PRELOAD = \\"/x.so\\"" >&3'), {
        [`${at}/y`]: script('echo "SEEN = \\"$PATH\\"" >&3 2>/dev/null'),
      }),
    )
    expect([app.env.PATH, app.env.SEEN, app.env.LD_PRELOAD]).toEqual([
      '/bin:/usr/bin:/bin:/added',
      '/bin:/usr/bin:/bin:/added',
      '/x.so',
    ])
  })
})

describeLauncher('exec.d: failures are 82 and name the program', run => {
  for (const [title, entry, expected] of [
    ['L04 exit status', script('exit 3'), 'exit status 3'],
    ['L04 a signal', script('kill -9 $$'), 'killed by signal 9'],
    ['L04 not executable', '#!/bin/sh\n', 'cannot start it: permission denied'],
    ['L04 no interpreter', { content: '#!/no/such\n', mode: 0o755 }, 'cannot start it: no such file or directory'],
    ['L04 no format', { content: 'true', mode: 0o755 }, 'cannot start it: not an executable for this machine'],
    ['L04 a link to nothing', link('/no/such/file'), 'a link to nothing'],
    ['L04 a device', link('/dev/null'), 'not a regular file'],
    [
      'L04 garbage',
      script('echo "X = \\"1\\"\nsecret = hunter2" >&3'),
      'line 2 of its output on file descriptor 3: expected a value',
    ],
    ['L04 not UTF-8', script('printf \'X = "\\377"\' >&3'), 'line 1 of its output on file descriptor 3: not UTF-8'],
    ['a number', script('echo "X = 1" >&3'), "a variable's value must be a string"],
    ['a table', script('echo "[X]" >&3'), "a variable's value must be a string"],
    ['a dotted key', script('echo "X.Y = \'1\'" >&3'), "a variable's value must be a string"],
    [
      'a name twice',
      script("echo \"X = '1'\nX = '2'\" >&3"),
      'line 2 of its output on file descriptor 3: a key is defined twice',
    ],
    [
      'L05 a name with =',
      script("echo \"'A=B' = '1'\" >&3"),
      "a variable's name may hold letters, digits, _ and - only",
    ],
    ['L05 an empty name', script("echo \"'' = '1'\" >&3"), "a variable's name may hold letters"],
    ['L05 NUL in a value', script('printf \'X = "a\\\\u0000b"\' >&3'), "a variable's value holds a NUL character"],
    ['L05 NUL in the output', script('printf \'X = "a\\0b"\' >&3'), 'control character in a string'],
  ] as const)
    it(title, async () => {
      const { code, stderr, app } = await run(one(entry))
      expect(stderr).toContain(`ERROR: exec.d ${at}/x: `)
      expect([code, stderr, app.argv]).toEqual([82, expect.stringContaining(expected), []])
      expect(isOneErrorLine(stderr)).toBe(true)
      expect(stderr).not.toContain('hunter2')
    })

  it('L04 endless output: cut off at 1 MB', async () => {
    const { code, stderr } = await run(one(script('exec yes "X = 1" >&3')))
    expect([code, stderr]).toEqual([
      82,
      `ERROR: exec.d ${at}/x: it wrote more than 1048576 bytes to file descriptor 3\n`,
    ])
  })

  it('L04 a megabyte is taken', async () => {
    const { code, app } = await run(
      one(script('cat output >&3'), { '/workspace/output': `X = "1" #${'x'.repeat((1 << 20) - 9)}` }),
    )
    expect([code, app.env.X]).toEqual([0, '1'])
  })

  it('L04 a child that keeps file descriptor 3 open is not waited for', async () => {
    const { code, app } = await run(one(script('sleep 20 & echo "X = \'1\'" >&3; echo $! > pid'), {}), {
      deadline: 5_000,
    })
    expect([code, app.env.X]).toEqual([0, '1'])
  })

  it('L11 10,000 orphans, which a process 1 inherits, are buried before the app starts', async () => {
    const tree = one(script('{root}/bin/show --orphans 10000; echo "X = \'1\'" >&3'))
    const { code, app } = await run(tree, { odd: 'subreaper', env: { SHOW_CHILDREN: '1' } })
    expect([code, app.env.X, app.entries.at(-1)]).toEqual([0, '1', 'ended children: 0'])
  })
})

describeLauncher('exec.d: signals', run => {
  const waiting = 'trap "echo got > got; exit 0" TERM INT HUP QUIT; : > ready; while :; do sleep 0.01; done'

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const)
    it(`L10 ${signal} reaches the program, and then ends the launcher`, async () => {
      const result = await run(one(script(waiting)), {
        meanwhile: async (child, root) => {
          await waitFor(() => existsSync(`${root}/workspace/ready`))
          child.kill(signal)
        },
      })
      expect([result.signal, result.app.argv]).toEqual([signal, []])
      expect(await result.file('/workspace/got')).toBe('got\n')
    })

  it('L04 a program that hangs ends with SIGTERM', async () => {
    const { signal } = await run(one(script(': > ready; exec sleep 100')), {
      meanwhile: async (child, root) => {
        await waitFor(() => existsSync(`${root}/workspace/ready`))
        child.kill('SIGTERM')
      },
    })
    expect(signal).toBe('SIGTERM')
  })

  it('L12 a stopped program is woken up to end', async () => {
    const { signal } = await run(one(script(': > ready; kill -STOP $$; sleep 100')), {
      meanwhile: async (child, root) => {
        await waitFor(() => existsSync(`${root}/workspace/ready`))
        await sleep(50)
        child.kill('SIGTERM')
      },
    })
    expect(signal).toBe('SIGTERM')
  })

  it('L12 one that ignores SIGTERM may finish, but the app does not start', async () => {
    const { signal, app } = await run(one(script('trap "" TERM; : > ready; while ! [ -e go ]; do sleep 0.01; done')), {
      meanwhile: async (child, root) => {
        await waitFor(() => existsSync(`${root}/workspace/ready`))
        child.kill('SIGTERM')
        await sleep(50)
        await writeFile(`${root}/workspace/go`, '')
      },
    })
    expect([signal, app.argv]).toEqual(['SIGTERM', []])
  })

  it('the app gets signals as the launcher got them: none blocked, none handled', async () => {
    const show = processType('web', { command: ['grep', '^Sig[BIC]', '/proc/self/status'], direct: true })
    const { stdout } = await run({ [metadata]: buildpack('zeta/first') + show, [`${at}/x`]: script(':') })
    const without = await run({ [metadata]: show })
    expect(stdout).toBe(without.stdout)
  })

  // As process 1 of a container the kernel drops a signal that has no handler, also one sent to oneself.
  it('L10 as process 1: SIGTERM ends the launcher with 143', async context => {
    const { code, app } = await run(one(script('kill -TERM 1; sleep 100')), { odd: 'process-1' })
    if (code === 77) skip(context, 'no user and PID namespaces here')
    expect([code, app.argv]).toEqual([143, []])
  })
})
