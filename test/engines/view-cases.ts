import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, closeSync, openSync, readFileSync, readdirSync, readlinkSync, statSync } from 'node:fs'
import { chmod, mkdir, readFile, readdir, symlink, writeFile } from 'node:fs/promises'
import { type AddressInfo, type Server, createServer } from 'node:net'
import { dirname, join } from 'node:path'

import { text as textOf } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Mount } from '../../lifecycle/engines/engine.ts'
import { sh } from '../contracts/engines.ts'
import { failureOf } from '../helpers/failure.ts'
import { isAlive, processesWith, uniqueWord } from '../helpers/processes.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { skip } from '../helpers/skip.ts'
import {
  closesAbstractSockets,
  openSandbox,
  runChild,
  starter,
  staysRoot,
  useLandlock,
  useProbe,
  user,
  usr,
} from './harness.ts'

/** What a program in a sandbox sees of the host, and what it does not. */
export function viewCases(): void {
  describe('bubblewrap: a sandbox sees', () => {
    const probe = useProbe()
    it('no capabilities, and the user it was told', async () => {
      const { stdout } = await sh(await openSandbox(), 'id; grep ^Cap /proc/self/status')
      expect(stdout).toMatch(/^uid=1000\S* gid=1000/)
      expect([...stdout.matchAll(/^Cap\w+:\t(\w+)$/gm)].map(match => match[1])).toEqual(
        Array(5).fill('0000000000000000'),
      )
    })

    it('X11 its own processes only, which are all that kill(-1) reaches', async () => {
      const opened = await openSandbox()
      const bystander = spawn('sleep', ['600'])
      onTestFinished(() => void bystander.kill('SIGKILL'))
      const { stdout } = await sh(
        opened,
        `/probe signal ${bystander.pid}; echo /proc/[0-9]*; trap "" TERM; kill -TERM -1; echo alive`,
        {
          mounts: [probe],
        },
      )
      expect(stdout).toMatch(/^signal ESRCH\n(\/proc\/\d+ ?){2,3}\nalive\n$/)
      expect(isAlive(bystander.pid ?? 0)).toBe(true)
    })

    it('K15 nothing of our environment and command line', async () => {
      process.env.BALE_TEST_CANARY = 'canary-value'
      onTestFinished(() => void delete process.env.BALE_TEST_CANARY)
      const { stdout } = await sh(
        await openSandbox(),
        'cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" "\\n"',
        {
          env: { PATH: '/usr/bin:/bin', PASSWORD: 'secret-value' },
        },
      )
      expect(stdout).toContain('PASSWORD=secret-value') // its own
      expect(stdout).not.toMatch(/canary-value|--args|bwrap/)
    })

    it('K15 X37 no Node of ours, whose environment it would get by signals and an inspector', async () => {
      const opened = await openSandbox()
      const env = { PATH: process.env.PATH, SECRET: 'canary-value' }
      // As any user's Node is: ours do not listen to SIGUSR1 at all.
      const script = "process.stdout.write('ready'); setTimeout(() => {}, 60_000)"
      const job = spawn(process.execPath, ['-e', script], { env, stdio: ['ignore', 'pipe', 'pipe'] })
      onTestFinished(() => void job.kill('SIGKILL'))
      let said = ''
      job.stderr.on('data', (text: Buffer) => (said += text.toString()))
      await once(job.stdout, 'data')
      const attack = `trap '' USR1 USR2; for pid in ${job.pid} ${process.pid} $PPID 1 -1; do kill -USR1 $pid; cat /proc/$pid/environ; done
        for pid in ${job.pid} ${process.pid}; do test -e /proc/$pid && echo "$pid is there"; kill -0 $pid && echo "$pid is reached"; done; echo tried`
      const { stdout } = await sh(opened, `{ ${attack}; } 2>/dev/null`, { network: 'host' })
      expect(stdout.replaceAll('\0', '\n')).not.toMatch(/canary-value|is there|is reached/)
      expect(stdout).toMatch(/tried\n$/)
      await sleep(200)
      expect(said).toBe('') // no "Debugger listening"
      // It could have been opened.
      job.kill('SIGUSR1')
      await vi.waitFor(() => expect(said).toContain('Debugger listening'), 5000)
    })

    it('K16 and nobody sees its variables in a command line of ours', async () => {
      const opened = await openSandbox()
      const seen = processesWithDuring('secret-value-in-env', () =>
        sh(opened, 'sleep 0.3', { env: { PATH: '/usr/bin:/bin', PASSWORD: 'secret-value-in-env' } }),
      )
      expect(await seen).toEqual([])
    })

    it('X14 no descriptor that we were started with, however high its number', async () => {
      const opened = await openSandbox()
      const secret = join(opened.base, 'secret')
      await writeFile(secret, 'secret')
      const settings = {
        rootfs: opened.rootfs,
        tmpDir: opened.tmpDir,
        ...starter(),
        argv: ['/probe', 'descriptors'],
        mounts: [usr, probe],
        user,
      }
      // A directory leads everywhere below it, and with `..` to everything above.
      const inherited: Record<number, number> = {
        ...{ 5: openSync(secret, 'r'), 20: openSync('/', 'r'), 40: openSync(secret, 'r+') },
        ...{ 100: openSync('/proc/self/ns/mnt', 'r'), 200: openSync(secret, 'a') },
      }
      onTestFinished(() => Object.values(inherited).forEach(closeSync))
      const stdio = Array.from({ length: 201 }, (_, fd) => inherited[fd] ?? 'ignore')
      const child = spawn(process.execPath, [runChild, JSON.stringify(settings)], {
        stdio: ['ignore', 'pipe', 'inherit', ...stdio.slice(3)] as never,
      })
      const output = await textOf(child.stdout)
      expect(output).toMatch(/^0 .*pipes-.*\n1 .*pipes-.*\n2 .*pipes-.*\n/)
      expect(output).not.toContain('secret')
      expect(
        output
          .trim()
          .split('\n')
          .slice(3)
          .filter(line => !/\/bale-empty-\S+ \(deleted\)$/.test(line)),
      ).toEqual([])
    })

    it('X39 no descriptor of a device of the host, whose mode it could change', async () => {
      const mode = () => statSync('/dev/null').mode
      const before = mode()
      onTestFinished(() => {
        if (mode() !== before) chmodSync('/dev/null', before)
      })
      const opened = await openSandbox()
      const settings = { rootfs: opened.rootfs, tmpDir: opened.tmpDir, ...starter(), mounts: [usr, probe], user }
      const argv = ['/bin/sh', '-c', '/probe devices; chmod 1666 /proc/[0-9]*/fd/* 2>/dev/null; exit 0']
      // With descriptors that leak: they need stand-ins.
      const stdio = ['ignore', 'pipe', 'inherit', ...Array<number>(40).fill(openSync('/dev/null', 'r+'))]
      const child = spawn(process.execPath, [runChild, JSON.stringify({ ...settings, argv })], {
        stdio: stdio as never,
      })
      expect(await textOf(child.stdout)).toBe('')
      expect(mode()).toBe(before)
    })

    const isRoot = process.geteuid?.() === 0
    // Where root's sandboxes stay root's to the machine a warning says so: see X06.
    describe.runIf(!staysRoot())('X51 nothing of the host as root does', () => {
      it('since each of its processes is another user’s, who has no account and no groups', async () => {
        const opened = await openSandbox()
        const word = uniqueWord()
        const done = sh(opened, `sleep ${word} & sleep ${word}`, { mounts: [opened.show(opened.dir, 'read-write')] })
        const inside = await vi.waitFor(async () => {
          const found = (await processesWith(word)).filter(isElsewhere)
          expect(found.length).toBeGreaterThanOrEqual(3)
          return found
        }, 10_000)
        const ids = new Set(inside.flatMap(pid => idsOf(pid)))
        const everyone = readdirSync('/proc').filter(name => /^\d+$/.test(name) && isElsewhere(Number(name)))
        // Of bubblewrap's first process there too, whose command line has no word of ours.
        for (const pid of everyone.map(Number)) if (isBelow(pid, inside)) idsOf(pid).forEach(id => ids.add(id))
        for (const pid of inside) process.kill(pid, 'SIGKILL')
        await done
        expect(ids).not.toContain(0)
        if (!isRoot) return
        expect(ids.size).toBe(1)
        expect([...ids][0]).toBeGreaterThan(100_000)
        expect(execFails('getent', 'passwd', String([...ids][0]))).toBe(true)
      })

      it('with a descriptor of its root directory, which a process outside gives away over a socket', async () => {
        const opened = await openSandbox()
        const secret = join(opened.base, 'secret')
        await writeFile(secret, 'secret', { mode: 0o600 })
        const socket = join(opened.dir, 'socket')
        const helper = spawn(probe.hostPath, ['give', socket], { stdio: ['ignore', 'pipe', 'inherit'] })
        onTestFinished(() => void helper.kill('SIGKILL'))
        expect(String((await once(helper.stdout, 'data'))[0])).toBe('listen worked\n')
        // What is an ordinary user's is theirs in the sandbox too.
        const own = isRoot ? [secret, dirname(secret)] : []
        const take = ['/', '/etc/shadow', ...own].map(path => `/probe take /layers/socket .${path}`)
        const { stdout } = await sh(opened, take.join(';'), {
          mounts: [probe, opened.show(opened.dir, 'read-write')],
          network: 'host',
        })
        // The descriptor arrives; it opens what is open to everybody.
        expect(stdout).toBe(`open worked\n${'open EACCES\n'.repeat(take.length - 1)}`)
      })

      it('in its own files: they are its own inside, and those of whoever started it outside', async () => {
        const opened = await openSandbox()
        await writeFile(join(opened.dir, 'there'), 'there', { mode: 0o600 })
        const script =
          'cat there; echo more >> there; mkdir made; echo x > made/file; ln there made/; stat -c "%n %u %g" there made/*'
        const { stdout } = await sh(opened, `cd /layers; ${script}`, {
          mounts: [opened.show(opened.dir, 'read-write')],
        })
        expect(stdout).toBe('there' + ['there', 'made/file', 'made/there'].map(name => `${name} 1000 1000\n`).join(''))
        for (const name of ['there', 'made', 'made/file'])
          expect(statSync(join(opened.dir, name))).toMatchObject({ uid: process.geteuid?.(), gid: process.getegid?.() })
      })
    })

    it('a read-only root, and fresh places to write in', async () => {
      const opened = await openSandbox()
      const script =
        'for d in / /etc /var /workspace /usr /tmp /var/tmp /home "$HOME" /dev/shm; do touch "$d/x" 2>/dev/null && echo "$d"; done; ls -A /tmp; stat -c %a /tmp /var/tmp /dev/shm'
      const first = await sh(opened, script)
      expect(first.stdout).toBe('/tmp\n/var/tmp\n/home\n/home/cnb\n/dev/shm\nx\n1777\n1777\n1777\n')
      expect(await sh(opened, script)).toEqual(first)
      expect((await readdir(opened.rootfs)).toSorted()).toEqual([
        'bin',
        'dev',
        'etc',
        'lib',
        'lib64',
        'proc',
        'sbin',
        'usr',
        'var',
        'workspace',
      ])
    })

    it('a home where the run says', async () => {
      const { stdout } = await sh(await openSandbox(), 'echo $HOME; touch $HOME/x && echo ok', {
        env: { HOME: '/home/deep/er' },
      })
      expect(stdout).toBe('/home/deep/er\nok\n')
    })

    it('mounts of files and directories, in each other where there is a place', async () => {
      const opened = await openSandbox()
      const { dir } = opened
      await mkdir(join(dir, 'outer/inner'), { recursive: true })
      await writeFile(join(dir, 'outer/file'), '')
      await writeFile(join(dir, 'content'), 'content')
      const mounts: Mount[] = [
        { hostPath: join(dir, 'content'), path: '/cnb/file', access: 'read-only' },
        { hostPath: join(dir, 'outer'), path: '/cnb', access: 'read-only' },
        { hostPath: dir, path: '/cnb/inner', access: 'read-only' },
        { hostPath: join(dir, 'content'), path: '/opt/new/place', access: 'read-write' },
        { hostPath: join(dir, 'content'), path: '/tmp/place', access: 'read-only' },
      ]
      const script =
        'cat /cnb/file /cnb/inner/content /opt/new/place /tmp/place; echo changed > /opt/new/place; touch /cnb/x /cnb/inner/x 2>/dev/null || echo refused'
      const { stdout } = await sh(opened, script, { mounts })
      expect(stdout).toBe('contentcontentcontentcontentrefused\n')
      expect(await readFile(join(dir, 'content'), 'utf8')).toBe('changed\n')
    })

    it('X22 no file of the host that it could give a second name', async () => {
      const opened = await openSandbox()
      const own = join(opened.dir, 'own')
      await mkdir(own, { mode: 0o777 })
      await chmod(own, 0o777)
      for (const name of ['shown', 'secret']) await writeFile(join(opened.dir, name), name)
      const mounts: Mount[] = [
        opened.show(own, 'read-write'),
        { hostPath: join(opened.dir, 'shown'), path: '/cnb/file', access: 'read-only' },
      ]
      const names = [
        '/cnb/file',
        '/usr/bin/id',
        '/etc/passwd',
        '/proc/self/exe',
        '/dev/null',
        join(opened.dir, 'secret'),
      ]
      // Each by its name, and by a descriptor of it (AT_SYMLINK_FOLLOW).
      const script = `cd /layers/own; n=0; for file in ${names.join(' ')}; do n=$((n + 1))
        ln "$file" name-$n; ( exec 3<"$file" && ln -L /proc/self/fd/3 fd-$n )
      done 2>/dev/null; echo x > mine && ln mine own-link && echo linked`
      expect((await sh(opened, script, { mounts })).stdout).toBe('linked\n')
      expect((await readdir(own)).toSorted()).toEqual(['mine', 'own-link'])
      for (const name of ['shown', 'secret']) expect(statSync(join(opened.dir, name)).nlink, name).toBe(1)
    })

    it('X17 links in a mount as what they are: names inside', async () => {
      const opened = await openSandbox()
      await symlink(join(opened.base, 'secret'), join(opened.dir, 'link'))
      await writeFile(join(opened.base, 'secret'), 'secret')
      const { stdout } = await sh(opened, 'cat /layers/link || readlink /layers/link', {
        mounts: [opened.show(opened.dir, 'read-only')],
      })
      expect(stdout).toBe(`${join(opened.base, 'secret')}\n`)
    })
  })
}

export function networkCases(): void {
  describe('bubblewrap: the network', () => {
    const probe = useProbe()
    const landlock = useLandlock()
    async function listening(server: Server, ...address: [number, string] | [string]): Promise<Server> {
      server.listen(...(address as [string]))
      await once(server, 'listening')
      onTestFinished(() => void server.close())
      return server
    }

    it('X08 none: no loopback of the host, no metadata service', async () => {
      const opened = await openSandbox()
      const server = await listening(createServer(), 0, '127.0.0.1')
      const { port } = server.address() as AddressInfo
      const script = `/probe loopback ${port}; /probe loopback6 ${port}; /probe metadata`
      const { stdout } = await sh(opened, script, { mounts: [probe] })
      expect(stdout).toBe('connect ECONNREFUSED\nconnect ECONNREFUSED\nconnect ENETUNREACH\n')
    })

    it("X08 host: the host's, as downloads need it", async () => {
      const opened = await openSandbox()
      const server = await listening(createServer(), 0, '127.0.0.1')
      const { port } = server.address() as AddressInfo
      const { stdout } = await sh(opened, `/probe loopback ${port}`, { mounts: [probe], network: 'host' })
      expect(stdout).toBe('connect worked\n')
    })

    /** A server in the abstract namespace, and what a program in the sandbox can do with it. */
    async function abstractServer() {
      const name = `bale-test-${uniqueWord()}`
      await listening(createServer(), `\0${name}`)
      return name
    }

    /** The same for datagrams, for which Node has no server. */
    async function datagramServer() {
      const name = `bale-test-${uniqueWord()}`
      const server = spawn(probe.hostPath, ['receive', name], { stdio: ['ignore', 'pipe', 'inherit'] })
      onTestFinished(() => void server.kill('SIGKILL'))
      expect(String((await once(server.stdout, 'data'))[0])).toBe('bind worked\n')
      return name
    }
    /** It was there to be reached. */
    const expectReachable = (name: string) =>
      expect(execFileSync(probe.hostPath, ['send', name], { encoding: 'utf8' })).toBe('send worked\n')

    it('X06 none: no abstract sockets', async () => {
      const opened = await openSandbox()
      const { stdout } = await sh(opened, `/probe abstract ${await abstractServer()}`, { mounts: [probe] })
      expect(stdout).toBe('connect ECONNREFUSED\n')
      const name = await datagramServer()
      expect((await sh(opened, `/probe send ${name}`, { mounts: [probe] })).stdout).toBe('send ECONNREFUSED\n')
      expectReachable(name)
    })

    it("X06 X38 host: no abstract sockets of others, from which a descriptor of the host's root could come", async ctx => {
      if (!closesAbstractSockets(landlock.program)) return skip(ctx, 'Linux 6.12 with Landlock is needed')
      const warnings: unknown[] = []
      const opened = await openSandbox({ landlock: landlock.program, onWarning: w => warnings.push(w) })
      const name = await abstractServer()
      const run = { mounts: [probe], network: 'host' } as const
      expect((await sh(opened, `/probe abstract ${name}`, run)).stdout).toBe('connect EPERM\n')
      const datagrams = await datagramServer()
      expect((await sh(opened, `/probe send ${datagrams}`, run)).stdout).toBe('send EPERM\n')
      expectReachable(datagrams)
      // Among its own processes they work.
      expect((await sh(opened, '/probe own-abstract', run)).stdout).toBe('connect worked\n')
      expect(warnings).toEqual([])
      // What starts the program there is not seen, but that it is missing.
      const error = await failureOf(sh(opened, '', { ...run, argv: ['/no/such/program'] }))
      expect(error).toMatchObject({ code: 'engine', message: expect.stringContaining('/no/such/program') as string })
      expect(await sh(opened, 'echo "ERROR: landlock: no" >&2; exit 124', run)).toMatchObject({ status: { code: 124 } })
    })

    it('X06 host: a kernel that cannot close them is a warning that names the risk, once', async () => {
      const warnings: unknown[] = []
      const opened = await openSandbox({ landlock: '/bin/false', onWarning: w => warnings.push(w) })
      for (const network of ['host', 'none', 'host'] as const) await sh(opened, ':', { network })
      const warning = (text: string, fix: string) => ({
        text: expect.stringContaining(text) as string,
        fix: expect.stringContaining(fix) as string,
      })
      expect(warnings).toEqual([
        warning('can reach abstract unix sockets', '--network none'),
        // What closes them also makes root's sandboxes another user's.
        ...(process.geteuid?.() === 0 ? [warning('run as root on this machine', 'ordinary user')] : []),
      ])
    })

    it("X07 no sockets of the host's daemons and agents, with any network", async () => {
      const opened = await openSandbox()
      const path = join(opened.base, 'agent')
      await listening(createServer(), path)
      const docker = ['/var/run/docker.sock', '/run/podman/podman.sock', '/run/user/0/bus', path]
      const script = docker.map(socket => `/probe unix ${socket}`).join(';')
      const { stdout } = await sh(opened, script, { mounts: [probe], network: 'host' })
      expect(stdout).toBe('connect ENOENT\n'.repeat(4))
      const mounts: Mount[] = [{ hostPath: path, path: '/agent', access: 'read-only' }]
      const error = await failureOf(sh(opened, ':', { mounts }))
      expect(error).toMatchObject({
        code: 'engine',
        where: path,
        message: expect.stringContaining('a socket') as string,
      })
    })

    it("host: the host's names and certificates; none: its own name", async () => {
      const bundle = join(await temporaryDirectory(), 'bundle.pem')
      await writeFile(bundle, 'certificates')
      const opened = await openSandbox({ caBundle: bundle })
      const script =
        'cat /etc/resolv.conf; cat /etc/hosts; cat /etc/ssl/certs/ca-certificates.crt; ls -d /etc/passwd /etc/os-release'
      const own = '/etc/os-release\n/etc/passwd\n'
      const host = await sh(opened, script, { network: 'host' })
      expect(host.stdout).toBe(
        `${readFileSync('/etc/resolv.conf', 'latin1')}${readFileSync('/etc/hosts', 'latin1')}certificates${own}`,
      )
      const none = await sh(opened, script, { network: 'none' })
      expect(none.stdout).toBe(`127.0.0.1\tlocalhost\n::1\tlocalhost\n${own}`)
      expect((await sh(opened, 'hostname; getent hosts "$(hostname)"')).stdout).toMatch(
        /^localhost\n(::1|127\.0\.0\.1)/,
      )
    })
  })
}

const namespaceOf = (pid: number | 'self'): string => readlinkSync(`/proc/${pid}/ns/pid`)

/** Whether a process is in another PID namespace than we are. */
function isElsewhere(pid: number): boolean {
  try {
    return namespaceOf(pid) !== namespaceOf('self')
  } catch {
    return false
  }
}

/** Whether it is in the PID namespace of one of these. */
function isBelow(pid: number, others: readonly number[]): boolean {
  try {
    return others.some(other => namespaceOf(other) === namespaceOf(pid))
  } catch {
    return false
  }
}

/** Real, effective, saved and file system ids of user and group, and the other groups (proc(5), status). */
function idsOf(pid: number): number[] {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  return [...status.matchAll(/^(?:Uid|Gid|Groups):[ \t]*(.*)$/gm)]
    .flatMap(([, ids = '']) => ids.match(/\d+/g) ?? [])
    .map(Number)
}

const execFails = (program: string, ...args: string[]): boolean => spawnSync(program, args).status !== 0

/** Who had the word in their command line at any moment of the run. */
async function processesWithDuring(word: string, run: () => Promise<unknown>): Promise<string[]> {
  const seen = new Set<string>()
  let running = true
  const done = run().finally(() => (running = false))
  while (running) {
    for (const pid of await processesWith(word))
      seen.add(await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''))
    await sleep(2)
  }
  await done
  return [...seen]
}
