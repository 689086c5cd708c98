/** platform.md#launcher Execution: processes with a shell, profile.d and .profile. */
import { expect, it } from 'vitest'
import { buildpack, describeLauncher, isOneErrorLine, processType, showProgram, type Tree } from './harness.ts'

const metadata = '/layers/config/metadata.toml'
const old = (command: string | string[], fields: Record<string, unknown> = {}): string =>
  buildpack('zeta/first', '0.8') +
  buildpack('acme/second', '0.8') +
  processType('web', { command, direct: false, 'buildpack-id': 'zeta/first', ...fields })

const note = (name: string): string => `export ORDER="$ORDER ${name}"`

describeLauncher('shell: what is run', run => {
  for (const [title, command, args, user, expected] of [
    ['a lone command is a script', 'x="a  b"; show "$x" $NAME', [], [], ['show', 'a  b', 'value']],
    ['its list form too', ['show $NAME'], [], [], ['show', 'value']],
    ['with arguments it is a program', 'show', ['a b', ''], [], ['show', 'a b', '']],
    ["the user's arguments follow", 'show', ['a'], ['b c'], ['show', 'a', 'b c']],
    ["the user's arguments alone make it a program", 'show', [], ['b'], ['show', 'b']],
    [
      'words are expanded as in double quotes',
      'show',
      ['$NAME  $(echo "x  y")', '${NONE:-z}', '`echo b`'],
      [],
      ['show', 'value  x  y', 'z', 'b'],
    ],
    ['$ can be escaped', 'show', ['\\$NAME'], [], ['show', '$NAME']],
    [
      'words without $ and ` stay as they are',
      'show',
      ['"q" \'s\' \\n * ; & | > #', '-e', '--', '{"a": 1}'],
      [],
      ['show', '"q" \'s\' \\n * ; & | > #', '-e', '--', '{"a": 1}'],
    ],
    ['results are not split or globbed', 'show', ['$STAR'], [], ['show', '/* a b']],
    ['a command may be a variable', '$NAME_OF_SHOW', ['x'], [], ['show', 'x']],
    ['a list of several words', ['show', 'a b'], ['c'], [], ['show', 'a b', 'c']],
  ] as const)
    it(title, async () => {
      const env = { NAME: 'value', STAR: '/* a b', NAME_OF_SHOW: 'show' }
      const { app, code, stderr } = await run({ [metadata]: old(command as string, { args }) }, { args: user, env })
      expect([app.argv, code, stderr]).toEqual([expected, 0, ''])
    })

  it("a user's lone command is a script, with arguments a program", async () => {
    const env = { NAME: 'value' }
    expect((await run({ [metadata]: '' }, { as: 'launcher', args: ['show $NAME; true'], env })).app.argv).toEqual([
      'show',
      'value',
    ])
    expect((await run({ [metadata]: '' }, { as: 'launcher', args: ['show', '$NAME;'], env })).app.argv).toEqual([
      'show',
      'value;',
    ])
  })

  it("a user's command runs in the app directory", async () => {
    const { app } = await run({ [metadata]: '' }, { as: 'launcher', args: ['show'], cwd: '{root}/bin' })
    expect(app.cwd).toBe('/workspace')
  })

  it('a builtin is a command', async () => {
    expect((await run({ [metadata]: '' }, { as: 'launcher', args: ['type', 'type'] })).stdout).toBe(
      'type is a shell builtin\n',
    )
  })

  it('a word that cannot be expanded: 82', async () => {
    expect((await run({ [metadata]: '' }, { as: 'launcher', args: ['show', '$('] })).code).toBe(82)
  })

  it('a command that is not there: 127, as bash has it', async () => {
    const { code, stderr } = await run({ [metadata]: '' }, { as: 'launcher', args: ['no-such-program'] })
    expect([code, stderr]).toEqual([127, expect.stringContaining('no-such-program: command not found')])
  })

  for (const args of [
    ['exec sh -c "echo \\$PPID"'],
    ['sh', '-c', 'echo $PPID'.replace('$', '\\$')],
    ['sh -c "echo \\$PPID"'],
  ])
    it(`bash leaves no process behind: ${JSON.stringify(args)}`, async () => {
      expect((await run({ [metadata]: '' }, { as: 'launcher', args })).stdout).toBe(`${process.pid}\n`)
    })

  it('exit code and signal are the app’s', async () => {
    expect((await run({ [metadata]: old('exit 9') })).code).toBe(9)
    expect((await run({ [metadata]: old('kill -INT $$') })).signal).toBe('SIGINT')
  })

  it('~/.bashrc is not read, though standard input is a socket', async () => {
    const { app } = await run(
      { [metadata]: old('show'), '/home/.bashrc': 'export RC=1' },
      { env: { HOME: '{root}/home' } },
    )
    expect([app.argv, app.env.RC]).toEqual([['show'], undefined])
  })

  it("its standard input is the app's", async () => {
    expect((await run({ [metadata]: old('cat') }, { stdin: 'input' })).stdout).toBe('input')
  })
})

describeLauncher('shell: profile.d', run => {
  const tree: Tree = {
    [metadata]: old('show'),
    '/layers/acme_second/a/profile.d/1.sh': note('second-a-1'),
    '/layers/zeta_first/b/profile.d/1.sh': note('first-b-1'),
    '/layers/zeta_first/a/profile.d/2.sh': note('first-a-2'),
    '/layers/zeta_first/a/profile.d/1': note('first-a-1'),
    '/layers/zeta_first/a/profile.d/web/1.sh': note('first-a-web'),
    '/layers/acme_second/a/profile.d/web/1.sh': note('second-a-web'),
    '/layers/acme_second/a/profile.d/worker/1.sh': note('wrong'),
    '/workspace/.profile': note('app'),
  }
  const general = ' first-a-1 first-a-2 first-b-1 second-a-1'

  it('general ones, then those of the process, then .profile', async () => {
    const { app, cwd } = await run(tree).then(({ app }) => ({ app, cwd: app.cwd }))
    expect([app.env.ORDER, cwd]).toEqual([`${general} first-a-web second-a-web app`, '/workspace'])
  })

  it("a user's command has none of a process", async () => {
    const { app } = await run(tree, { as: 'launcher', args: ['show'] })
    expect(app.env.ORDER).toBe(`${general} app`)
  })

  it('a direct process has none', async () => {
    expect((await run(tree, { as: 'launcher', args: ['--', 'show'] })).app.env.ORDER).toBeUndefined()
  })

  it('they see the environment of the layers and exec.d, and run in the app directory', async () => {
    const { app } = await run({
      [metadata]: old('show', { 'working-dir': 'sub' }),
      '/workspace/sub/': '',
      '/layers/zeta_first/a/env/FROM_ENV': 'env',
      '/layers/zeta_first/a/exec.d/x': { content: '#!/bin/sh\necho \'FROM_EXECD = "execd"\' >&3\n', mode: 0o755 },
      '/layers/zeta_first/a/profile.d/x.sh': 'export SEEN="$FROM_ENV $FROM_EXECD $PWD"',
    })
    expect([app.env.SEEN, app.cwd]).toEqual([expect.stringMatching(/^env execd .*\/workspace$/), '/workspace/sub'])
  })

  it('PATH of a profile counts for the command', async () => {
    const { app } = await run({
      [metadata]: old('hidden', { args: ['x'] }),
      '/workspace/.profile': 'PATH={root}/extra:$PATH',
      '/extra/hidden': { link: showProgram },
    })
    expect(app.argv).toEqual(['hidden', 'x'])
  })

  for (const [title, profile] of [
    ['sets its arguments', 'set -- other words; shift'],
    ['sets options', 'set -eufa; IFS=abc; shopt -s nullglob'],
    ['changes directory', 'cd /'],
    ['fails', 'false; return 3'],
    ['has a syntax error', '\nif then'],
  ] as const)
    it(`a profile that ${title} does not harm the command`, async () => {
      const { app, code } = await run(
        {
          [metadata]: old('show', { args: ['a b', '$NAME', '*'] }),
          '/workspace/.profile': `export NAME=value; ${profile}`,
          '/workspace/file': '',
        },
        { env: { launcher_words: 'exported' } },
      )
      expect([code, app.argv, app.cwd]).toEqual([0, ['show', 'a b', 'value', '*'], '/workspace'])
    })

  it('variables of ours do not reach the app', async () => {
    const { app } = await run({ [metadata]: old('show', { args: ['$X'] }), '/workspace/.profile': 'set -a' })
    expect(Object.keys(app.env).filter(name => name.startsWith('launcher'))).toEqual([])
  })

  it('a link to nothing is bash’s to report; a fifo-like file ends the start', async () => {
    const dangling = await run({ [metadata]: old('show'), '/layers/zeta_first/a/profile.d/x': { link: '/nothing' } })
    expect([dangling.code, dangling.stderr]).toEqual([
      0,
      expect.stringContaining('/layers/zeta_first/a/profile.d/x: No such file'),
    ])
    const device = await run({ [metadata]: old('show'), '/layers/zeta_first/a/profile.d/x': { link: '/dev/zero' } })
    expect([device.code, device.stderr]).toEqual([
      82,
      'ERROR: cannot source /layers/zeta_first/a/profile.d/x: not a regular file\n',
    ])
  })
})

describeLauncher('shell: hostile', run => {
  it('L06 no file name can be run', async () => {
    const names = ['a"b', "a'b", '$(touch pwned)', '`touch pwned`', 'a;touch pwned', 'a b', '-n', '*', 'é\n', '\\']
    const profiles = names.map(name => [`/layers/zeta_first/a/profile.d/${name}`, `export COUNT="x$COUNT"`])
    const { app, code, file, stderr } = await run({
      [metadata]: old('show'),
      ...(Object.fromEntries(profiles) as Tree),
    })
    expect([code, app.env.COUNT, stderr]).toEqual([0, 'x'.repeat(names.length), ''])
    await expect(file('/workspace/pwned')).rejects.toThrow('ENOENT')
  })

  it('L06 nor a layer’s or a process’s name', async () => {
    const type = '$(touch pwned)"'
    const toml =
      buildpack('acme/one', '0.8') + processType(type, { command: 'show', direct: false, 'buildpack-id': 'acme/one' })
    const { app, file } = await run(
      { [metadata]: toml, [`/layers/acme_one/"; touch pwned; "/profile.d/${type}/x.sh`]: 'export X=1' },
      { as: `/cnb/process/${type}` },
    )
    expect(app.env.X).toBe('1')
    await expect(file('/workspace/pwned')).rejects.toThrow('ENOENT')
  })

  it('L07 no bash in the image: 82, and the way without', async () => {
    const { code, stderr } = await run({ [metadata]: old('show') }, { env: { PATH: '{root}/bin' } })
    expect([code, stderr]).toEqual([
      82,
      expect.stringContaining('bash is not in PATH; start it without one (launcher -- <command>)'),
    ])
    expect(isOneErrorLine(stderr)).toBe(true)
  })

  it('L07 a direct process needs none', async () => {
    const { app } = await run(
      { [metadata]: old('show') },
      { as: 'launcher', args: ['--', 'show'], env: { PATH: '{root}/bin' } },
    )
    expect(app.argv).toEqual(['show'])
  })

  it('L09 the working directory is gone after the profiles: 82', async () => {
    const tree = {
      [metadata]: old('show', { 'working-dir': 'sub' }),
      '/workspace/sub/': '',
      '/workspace/.profile': 'rmdir sub',
    }
    expect((await run(tree)).code).toBe(82)
  })
})
