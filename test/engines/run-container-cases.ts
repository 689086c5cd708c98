import { execFileSync, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { chmod, copyFile, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { type AddressInfo, createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { text as textOf } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type RunImageOptions, runContainer } from '../../lifecycle/engines/run-container.ts'
import type { ContainerConfig, ImageConfig } from '../../lifecycle/image/config.ts'
import { removeTree } from '../../lifecycle/files/remove.ts'
import { failureOf } from '../helpers/failure.ts'
import { processesWith, uniqueWord } from '../helpers/processes.ts'
import { skip, suiteWith } from '../helpers/skip.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { closesAbstractSockets, neededTools, useLandlock, useProbe } from './harness.ts'

const runChild = join(import.meta.dirname, 'run-container-child.ts')

/** An unpacked image with a few of this machine's programs, the libraries that they need, and a user. */
async function makeImage(dir: string): Promise<void> {
  const programs = [
    'sh',
    'cat',
    'id',
    'ls',
    'rm',
    'mkdir',
    'chmod',
    'sleep',
    'env',
    'readlink',
    'setsid',
    'stty',
    'stat',
    'touch',
  ]
  const paths = programs.map(name => execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim())
  const libraries = execFileSync('ldd', paths, { encoding: 'utf8' }).match(/\/\S+(?= \(0x)/g) ?? []
  for (const directory of ['bin', 'etc', 'proc', 'dev', 'tmp', 'workspace/tree', 'home/app'])
    await mkdir(join(dir, directory), { recursive: true })
  for (const [n, path] of paths.entries()) await copyFile(path, join(dir, 'bin', programs[n] ?? ''))
  for (const path of new Set(libraries)) {
    await mkdir(join(dir, dirname(path)), { recursive: true })
    await copyFile(path, join(dir, path))
  }
  await writeFile(join(dir, 'etc/passwd'), 'root:x:0:0::/root:/bin/sh\napp:x:1001:1000::/home/app:/bin/sh\n')
  await writeFile(join(dir, 'etc/hosts'), 'of the image')
  await writeFile(join(dir, 'workspace/file'), 'of the image')
  await writeFile(join(dir, 'workspace/tree/leaf'), '')
}

function configOf(config: ContainerConfig): ImageConfig {
  return { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] }, config }
}

/** The same cases for root and for an ordinary user. */
export function runImageCases(): void {
  suiteWith('bale run', neededTools('bwrap', 'script'), cases)
}

function cases(): void {
  let rootfs: string
  let tmpDir: string
  beforeAll(async () => {
    const base = await mkdtemp(join(tmpdir(), 'bale-test-image-'))
    ;[rootfs, tmpDir] = [join(base, 'rootfs'), join(base, 'tmp')]
    await mkdir(tmpDir)
    await makeImage(rootfs)
  })
  afterAll(() => rm(dirname(rootfs), { recursive: true, force: true }))
  const landlock = useLandlock()
  const probe = useProbe()

  interface Running {
    readonly result: Promise<{ code: number; output: string; warnings: string[] }>
    /** When the program has printed `ready`. */
    ready(): Promise<void>
  }

  /** With standard output and error in one file, as one would see them. */
  async function start(
    config: ContainerConfig,
    changes: Partial<RunImageOptions> = {},
    signal?: AbortSignal,
  ): Promise<Running> {
    const file = join(await temporaryDirectory(), 'output')
    const [input, output] = [openSync('/dev/null', 'r'), openSync(file, 'w')]
    const warnings: string[] = []
    // Where the kernel has no Landlock each run warns of that; its own test looks at it.
    const warn = (text: string) => void (/abstract unix sockets/.test(text) || warnings.push(text))
    const stdio = [input, output, output] as const
    const all = { rootfs, tmpDir, config: configOf(config), warn, stdio, landlock: landlock.program, ...changes }
    const code = runContainer(all, signal).finally(() => {
      closeSync(input)
      closeSync(output)
    })
    code.catch(() => {})
    return {
      result: code.then(code => ({ code, output: readFileSync(file, 'utf8'), warnings })),
      async ready() {
        while (!readFileSync(file, 'utf8').includes('ready\n')) await sleep(5)
      },
    }
  }

  async function run(config: ContainerConfig, changes: Partial<RunImageOptions> = {}) {
    return (await start(config, changes)).result
  }
  const script = (text: string): ContainerConfig => ({ User: 'app', Entrypoint: ['/bin/sh', '-c', text] })

  describe('running an image: what runs', () => {
    it("is the image's entrypoint and command, with its user, directory and environment", async () => {
      const config: ContainerConfig = {
        User: 'app',
        Entrypoint: ['sh', '-c'],
        Cmd: ['id -u; id -g; readlink /proc/self/cwd; echo "$A|$HOME|$PATH"'],
        WorkingDir: '/workspace',
        Env: ['A=b=c', 'PATH=/bin'],
      }
      expect(await run(config)).toEqual({
        code: 0,
        output: '1001\n1000\n/workspace\nb=c|/home/app|/bin\n',
        warnings: [],
      })
    })

    it('is what the caller says instead', async () => {
      const config: ContainerConfig = {
        Entrypoint: ['/bin/cat'],
        Cmd: ['/workspace/file'],
        Env: ['A=1'],
        User: 'nobody-here',
      }
      const user = '5:6'
      expect((await run(config, { user })).output).toBe('of the image')
      expect((await run(config, { user, args: ['/etc/passwd'] })).output).toContain('root:x:0:0')
      const changes = {
        user,
        entrypoint: ['/bin/sh', '-c', 'echo $A $(id -u) $(id -g)'],
        env: { A: '2' },
        workingDir: '/tmp',
      }
      expect((await run(config, changes)).output).toBe('2 5 6\n')
    })

    it('gets none of our environment, directories and descriptors', async () => {
      const { output } = await run(script('env; ls /; ls -l /proc/self/fd'), {})
      expect(output).toMatch(
        /^(HOME=\/home\/app|PATH=\S+|PWD=\/)\n(HOME=\/home\/app|PATH=\S+|PWD=\/)\n(HOME=\/home\/app|PATH=\S+|PWD=\/)\nbin\n/,
      )
      expect(output).not.toMatch(/canary|run-|bale-test-image/)
      const descriptors = [...output.matchAll(/(\d+) -> (.*)$/gm)].map(match => match[2] ?? '')
      expect(descriptors.slice(3).filter(to => !/\/bale-empty-\S+ \(deleted\)$|^\/proc\/\d+\/fd$/.test(to))).toEqual([])
    })

    it.each([
      ['exit 0', 0],
      ['exit 7', 7],
      ['exit 255', 255],
      ['kill -KILL $$', 137],
      ['kill -TERM $$', 143],
    ])('passes its exit status on: %s', async (text, code) => expect((await run(script(text))).code).toBe(code))

    it('X06 X38 reaches no abstract sockets of others, and with network none no loopback', async ctx => {
      await copyFile(probe.hostPath, join(rootfs, 'bin/probe'))
      const name = `bale-test-${uniqueWord()}`
      const [abstract, server] = [createServer().listen(`\0${name}`), createServer().listen(0, '127.0.0.1')]
      onTestFinished(() => [abstract, server].forEach(s => void s.close()))
      for (const s of [abstract, server]) if (!s.listening) await once(s, 'listening')
      const { port } = server.address() as AddressInfo
      const attempt = script(`/bin/probe abstract ${name}; /bin/probe loopback ${port}`)
      const none = await run(attempt, { network: 'none' })
      expect(none.output).toBe('connect ECONNREFUSED\nconnect ECONNREFUSED\n')
      const warnings: string[] = []
      await run(script(':'), { landlock: undefined, warn: text => warnings.push(text) })
      expect(warnings.join()).toContain('abstract unix sockets')
      if (!closesAbstractSockets(landlock.program)) return skip(ctx, 'Linux 6.12 with Landlock is needed')
      expect((await run(attempt)).output).toBe('connect EPERM\nconnect worked\n')
    })

    it('may be restricted like a build: no capabilities or namespaces', async () => {
      const { output } = await run({ ...script('cat /proc/self/status; echo x > /proc/sys/kernel/hostname'), User: '' })
      expect(output).toMatch(/^CapEff:\t0{16}$/m)
      expect(output).toMatch(/^NoNewPrivs:\t1$/m)
      expect(output).toMatch(/^Seccomp:\t2$/m)
      expect(output).toMatch(/(Read-only file system|Permission denied)\n$/)
    })
  })

  describe('running an image: files', () => {
    const change =
      'cd /workspace; echo new > file; rm -r tree; mkdir tree; touch tree/other /home/app/x /etc/x /new; cat file; ls tree'

    it('can all be written to, and the image stays as it is', async () => {
      for (let time = 0; time < 2; time++)
        expect(await run(script(change))).toEqual({ code: 0, output: 'new\nother\n', warnings: [] })
      expect(await readFile(join(rootfs, 'workspace/file'), 'utf8')).toBe('of the image')
      expect(await readdir(join(rootfs, 'workspace/tree'))).toEqual(['leaf'])
      expect((await readdir(rootfs)).includes('new')).toBe(false)
      expect(await readdir(tmpDir)).toEqual([])
    })

    it('can be written to where the disk cannot have an upper layer', async () => {
      // Like one overlay on another, a layer inside of what it is to cover is refused by the kernel.
      const inside = join(rootfs, 'tmp')
      expect(await run(script(change), { tmpDir: inside })).toEqual({ code: 0, output: 'new\nother\n', warnings: [] })
      expect(await readdir(inside)).toEqual([])
    })

    it('are those of volumes in their places, which are written to if they may be', async () => {
      const dir = await temporaryDirectory()
      await mkdir(join(dir, 'in'))
      await writeFile(join(dir, 'in/x'), 'of the host')
      await writeFile(join(dir, 'file'), 'a file')
      await chmod(dir, 0o755)
      const [hostPath, file] = [join(dir, 'in'), join(dir, 'file')]
      const volumes = [
        { hostPath, path: '/workspace/tree', access: 'read-only' },
        { hostPath, path: '/not/there', access: 'read-write' },
        { hostPath: file, path: '/workspace/file', access: 'read-only' },
        { hostPath: file, path: '/home/app/.file', access: 'read-only' },
      ] as const
      const text = `cat /workspace/tree/x /workspace/file /home/app/.file; echo
for d in /workspace/tree /not/there /not; do touch $d/y 2>/dev/null && echo $d; done; echo z 2>/dev/null >/workspace/file || echo no`
      expect(await run(script(text), { volumes })).toEqual({
        code: 0,
        output: 'of the hosta filea file\n/not/there\n/not\nno\n',
        warnings: [],
      })
      expect(await readdir(hostPath)).toEqual(['x', 'y'])
      expect((await readdir(rootfs)).includes('not')).toBe(false)
      const readOnly = await run(script('cat /not/there/x; touch /not/there/z'), { volumes, readOnly: true })
      expect([readOnly.output, await readdir(hostPath)]).toEqual(['of the host', ['x', 'y', 'z']])
    })

    it.each([
      ['/to-etc/x', 'a symbolic link'],
      ['/to-etc', 'a symbolic link'],
      ['/workspace/file/x', 'a file'],
      ['/workspace/file', 'a file'],
      ['/proc/self', 'the sandbox uses this path'],
      ['/workspace/../etc', 'not a normalised absolute path'],
    ])('X19 are not those of a volume at %s', async (path, why) => {
      const image = join(await temporaryDirectory(), 'image')
      await makeImage(image)
      await symlink('/oldroot/etc', join(image, 'to-etc'))
      const hostPath = await temporaryDirectory()
      const volumes = [{ hostPath, path, access: 'read-write' }] as const
      const error = await failureOf(run(script('echo it ran'), { rootfs: image, volumes }))
      expect(error).toMatchObject({ code: 'engine', message: expect.stringContaining(why) as string })
      expect(await readdir(hostPath)).toEqual([])
    })

    it('X07 X17 are no socket, device or link, and none that is missing', async () => {
      const dir = await temporaryDirectory()
      await symlink('/etc', join(dir, 'link'))
      for (const [hostPath, why] of [
        [join(dir, 'link'), 'a symbolic link'],
        ['/dev/null', 'a device'],
        [join(dir, 'missing'), 'no such file'],
      ] as const) {
        const volumes = [{ hostPath, path: '/shown', access: 'read-only' }] as const
        expect(await failureOf(run(script(':'), { volumes }))).toMatchObject({
          where: hostPath,
          message: expect.stringContaining(why) as string,
        })
      }
      expect(await readdir(tmpDir)).toEqual([])
    })

    it('take no more memory than the program may use', async () => {
      const text = 'a=x; while :; do a=$a$a; done'
      const error = await failureOf(run(script(text), { memory: 64_000_000 }))
      expect(error).toMatchObject({ message: expect.stringContaining('its limit is 64 MB') as string })
      expect((await run(script('echo enough'), { memory: 64_000_000 })).output).toBe('enough\n')
      expect(await readdir(tmpDir)).toEqual([])
    })

    it("have the host's names", async () => {
      const { output } = await run(script('cat /etc/hosts; cat /etc/resolv.conf'))
      expect(output).toBe(readFileSync('/etc/hosts', 'utf8') + readFileSync('/etc/resolv.conf', 'utf8'))
    })

    it('keep their modes, also those that forbid writing', async () => {
      const base = await temporaryDirectory()
      const image = join(base, 'image')
      await makeImage(image)
      await chmod(join(image, 'etc'), 0o551)
      await chmod(image, 0o555)
      onTestFinished(() => chmod(image, 0o755).then(() => chmod(join(image, 'etc'), 0o755)))
      const { output } = await run(script('stat -c %a / /etc /tmp; cat /etc/hosts'), { rootfs: image })
      expect(output).toBe(`555\n551\n755\n${readFileSync('/etc/hosts', 'utf8')}`)
      expect(await readdir(tmpDir)).toEqual([])
    })

    it('are deleted, whatever their modes', async () => {
      await run(script('mkdir -p /workspace/a/b/c; chmod 000 /workspace/a/b; rm /workspace/file'))
      expect(await readdir(tmpDir)).toEqual([])
    })

    it('can be read only', async () => {
      const text =
        'for d in / /workspace /etc /tmp /var/tmp /home "$HOME" /dev/shm; do touch $d/x 2>/dev/null && echo $d; done; cat /etc/hosts'
      const { output } = await run(script(text), { readOnly: true })
      expect(output).toBe(`/tmp\n/var/tmp\n/home\n/home/app\n/dev/shm\n${readFileSync('/etc/hosts', 'utf8')}`)
    })

    if (process.geteuid?.() === 0)
      it('are read-only, with a warning, where there is no overlay', async () => {
        const dir = await temporaryDirectory()
        await chmod(dir, 0o777)
        await chmod(dirname(rootfs), 0o755)
        const settings = { rootfs, tmpDir: dir, config: configOf(script('touch /workspace/x || echo refused')) }
        const hide =
          'mount --bind /dev/null /usr/bin/unshare && exec setpriv --reuid 54321 --regid 54321 --clear-groups "$@"'
        const argv = ['--mount', 'sh', '-c', hide, 'sh', process.execPath, runChild, JSON.stringify(settings)]
        const child = spawn('unshare', argv, { stdio: ['ignore', 'pipe', 'pipe'] })
        const [output, errors] = await Promise.all([textOf(child.stdout), textOf(child.stderr), once(child, 'exit')])
        expect(output).toBe('refused\n')
        expect(errors).toMatch(/only \/tmp, .* are writable/)
        expect(await readdir(dir)).toEqual([])
      })

    it.each(['proc', 'dev', 'etc'])('X19 are not mounted through a link at /%s of the image', async name => {
      const base = await temporaryDirectory()
      const [image, canary] = [join(base, 'image'), join(base, 'canary')]
      await Promise.all([mkdir(image), mkdir(canary)])
      await symlink(`/oldroot${canary}`, join(image, name))
      const error = await failureOf(run({ Entrypoint: ['/bin/sh'] }, { rootfs: image }))
      expect(error).toMatchObject({ code: 'engine', where: join(image, name) })
      expect(await readdir(canary)).toEqual([])
    })

    it("X19 are the host's in the place of a link at /etc/resolv.conf", async () => {
      const base = await temporaryDirectory()
      await makeImage(join(base, 'image'))
      await symlink(`/oldroot${base}/canary`, join(base, 'image/etc/resolv.conf'))
      for (const readOnly of [false, true]) {
        const { output } = await run(script('cat /etc/resolv.conf'), { rootfs: join(base, 'image'), readOnly })
        expect(output).toBe(readFileSync('/etc/resolv.conf', 'utf8'))
      }
      expect(await readdir(base)).toEqual(['image'])
    })
  })

  describe('running an image: what cannot run', () => {
    it.each([
      ['nothing to run', {}, {}, { code: 'input' }],
      ['an entrypoint of nothing', { Cmd: ['x'] }, { entrypoint: [] }, { code: 'input' }],
      ['an unknown user', { User: 'who', Cmd: ['sh'] }, {}, { code: 'input' }],
      ['an unknown program', { Cmd: ['/does/not/exist', 'x'] }, {}, { code: 'engine', where: '/does/not/exist' }],
      ['an unknown directory', { Cmd: ['sh'], WorkingDir: '/does/not/exist' }, {}, { code: 'engine' }],
      ['a NUL', { Cmd: ['sh'], Env: ['A=\0'] }, {}, { code: 'engine' }],
    ] as [string, ContainerConfig, Partial<RunImageOptions>, object][])(
      '%s is an error',
      async (_name, config, changes, expected) => {
        expect(await failureOf(run(config, changes))).toMatchObject(expected)
        expect(await readdir(tmpDir)).toEqual([])
      },
    )
  })

  describe('running an image: its end', () => {
    it.each(['TERM', 'INT', 'HUP', 'QUIT', 'USR1', 'USR2', 'WINCH'])('L10 SIG%s reaches the program', async name => {
      const signals = new EventEmitter()
      const text = `trap "echo got ${name}; exit 9" ${name}; echo ready; while :; do sleep 0.02; done`
      const running = await start(script(text), { signals })
      await running.ready()
      signals.emit(`SIG${name}`, `SIG${name}`)
      expect(await running.result).toMatchObject({ code: 9, output: `ready\ngot ${name}\n` })
      expect(signals.listenerCount(`SIG${name}`)).toBe(0)
    })

    it('a program without a handler ends by the signal', async () => {
      const signals = new EventEmitter()
      const running = await start(script('echo ready; exec sleep 1000.5'), { signals })
      await running.ready()
      signals.emit('SIGTERM', 'SIGTERM')
      expect((await running.result).code).toBe(143)
    })

    it('at any moment of its start is no failure', async () => {
      for (const milliseconds of [0, 2, 4, 6, 8, 12, 16, 20, 30]) {
        const signals = new EventEmitter()
        const word = uniqueWord()
        const running = await start({ Cmd: ['/bin/sleep', word] }, { signals })
        while (signals.listenerCount('SIGTERM') === 0) await sleep(1)
        await sleep(milliseconds)
        signals.emit('SIGTERM', 'SIGTERM')
        expect([137, 143]).toContain((await running.result).code)
        expect(await processesWith(word)).toEqual([])
      }
    })

    it('leaves nothing alive, and nothing behind', async () => {
      const word = uniqueWord()
      await run(script(`setsid sleep ${word} >/dev/null 2>&1 & sleep ${word} & exit 0`))
      expect(await processesWith(word)).toEqual([])
      expect(await readdir(tmpDir)).toEqual([])
    })

    it('comes when it is aborted', async () => {
      const word = uniqueWord()
      const abort = new AbortController()
      const running = await start(script(`echo ready; sleep ${word}; exit 1`), {}, abort.signal)
      await running.ready()
      abort.abort(new Error('enough'))
      expect(await failureOf(running.result)).toMatchObject({ message: 'enough' })
      expect(await processesWith(word)).toEqual([])
    })

    it('X16 comes when we are killed ourselves', async () => {
      const word = uniqueWord()
      const dir = await mkdtemp(join(tmpdir(), 'bale-test-'))
      onTestFinished(() => removeTree(dir)) // overlayfs leaves a directory that rm cannot look into
      const config = configOf(script(`echo ready; sleep ${word}; exit 1`))
      const settings = { rootfs, tmpDir: dir, config, landlock: landlock.program }
      const child = spawn(process.execPath, [runChild, JSON.stringify(settings)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      await once(child.stdout, 'data')
      child.kill('SIGKILL')
      for (let tries = 0; tries < 100 && (await processesWith(word)).length > 0; tries++) await sleep(20)
      expect(await processesWith(word)).toEqual([])
    })
  })

  describe('running an image: a terminal', () => {
    /** In a pseudo-terminal of its own, whose input is `keys` once the program says ready. */
    async function onTerminal(text: string, keys: string, around = ''): Promise<string> {
      const settings = { rootfs, tmpDir, config: configOf(script(text)), landlock: landlock.program }
      const command = [process.execPath, runChild, JSON.stringify(settings)]
        .map(word => `'${word.replaceAll("'", `'\\''`)}'`)
        .join(' ')
      // script(1) has $SHELL run it. bash becomes the program by itself; dash would stay in between, and Ctrl-C end it.
      const argv = ['-qec', around === '' ? `exec ${command}` : `${around}; ${command}; ${around}`, '/dev/null']
      const child = spawn('script', argv, { stdio: ['pipe', 'pipe', 'inherit'] })
      onTestFinished(() => void child.kill('SIGKILL'))
      let output = ''
      child.stdout.on('data', (chunk: Buffer) => {
        if (!output.includes('ready') && `${output}${chunk.toString()}`.includes('ready')) child.stdin.write(keys)
        output += chunk.toString()
      })
      const [code] = (await once(child, 'close')) as [number]
      return `${output.replaceAll('\r\n', '\n')}code ${code}`
    }

    it('is one to the program, which can be typed to', async () => {
      const text = '[ -t 0 ] && [ -t 1 ] && stty size >/dev/null && echo ready; read line; echo "read $line"'
      expect(await onTerminal(text, 'typed\n')).toBe('ready\ntyped\nread typed\ncode 0')
    })

    it('Ctrl-C reaches the program and its children', async () => {
      const child = 'trap "echo child got it; exit 0" INT; echo ready; while :; do sleep 0.02; done'
      const text = `trap "exit 5" INT; /bin/sh -c '${child}'; echo not reached`
      expect(await onTerminal(text, '\x03')).toMatch(/^ready\n(\^C)?child got it\ncode 5$/)
    })

    it('can be opened by name, and is who it was’s again afterwards', async () => {
      const text = 'echo one >/dev/stdout; echo two >/dev/stderr; chmod 666 /proc/self/fd/1 2>/dev/null; echo ready'
      const output = await onTerminal(text, '', 'stat -L -c "%u %g %a" /proc/self/fd/0')
      const [before, ...rest] = output.split('\n')
      expect(before).toMatch(/^\d+ \d+ 6[02]0$/)
      expect(rest).toEqual(['one', 'two', 'ready', before, 'code 0'])
    })

    it('X10 is not the program’s own to type into', async () => {
      const text = '(: </dev/tty) 2>/dev/null || echo none; echo ready'
      expect(await onTerminal(text, '')).toBe('none\nready\ncode 0')
    })
  })
}
