import { execFileSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readDescription } from '../../lifecycle/stacks/description.ts'
import { createStack, type StackEvent, type StackOptions } from '../../lifecycle/stacks/create.ts'
import { emulatorVariable, mmdebstrapArguments } from '../../lifecycle/stacks/mmdebstrap.ts'

// mmdebstrap is a shell script here, in a PATH that holds nothing else but what it needs.

const stackDir = resolve(import.meta.dirname, '../../stacks/trixie')
let dir: string
let bin: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'bale-test-'))
  bin = join(dir, 'bin')
  await tree(dir, {
    'machine/usr/share/keyrings/debian-archive-keyring.gpg': 'keys',
    'machine/etc/apt/sources.list': 'deb http://u:pw@mirror.example/debian bookworm main\n',
    'machine/etc/apt/sources.list.d/security.list':
      'deb http://mirror.example/debian-security bookworm-security main\n',
  })
  await mkdir(join(dir, 'tmp'))
})
afterEach(() => rm(dir, { recursive: true }))

async function tree(root: string, files: Record<string, string>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true })
    await writeFile(join(root, name), text)
  }
}

async function fake(script: string): Promise<void> {
  await tree(bin, {
    mmdebstrap: `#!/bin/sh\nPATH=/usr/bin:/bin\n${script}\n`,
    newuidmap: '#!/bin/sh\n',
    newgidmap: '#!/bin/sh\n',
  })
  for (const name of await readdir(bin)) await chmod(join(bin, name), 0o755)
}

/** Writes a root file system of little more than a dpkg status file. */
const works = `
root=$(mktemp -d)
mkdir -p $root/usr/lib $root/etc $root/var/lib/dpkg
printf 'ID=debian\\nVERSION_ID="13"\\n' >$root/usr/lib/os-release
echo 13.7 >$root/etc/debian_version
echo 1767225600 >$root/.bale-newest
printf 'Package: bash\\nStatus: install ok installed\\nArchitecture: amd64\\nVersion: 5.2\\n\\n' >$root/var/lib/dpkg/status
printf 'Package: dpkg\\nStatus: deinstall ok config-files\\nArchitecture: amd64\\nVersion: 1\\n' >>$root/var/lib/dpkg/status
tar -C $root -c .
rm -r $root`

function create({ events = [], ...more }: Partial<StackOptions> & { events?: StackEvent[] } = {}) {
  return createStack({
    stackDir,
    outDir: join(dir, 'out'),
    arch: 'amd64',
    environment: { PATH: bin, TMPDIR: join(dir, 'tmp'), SECRET: 'x', https_proxy: 'http://proxy.example' },
    machineRoot: join(dir, 'machine'),
    signal: new AbortController().signal,
    onEvent: event => events.push(event),
    ...more,
  })
}

/** A failed run must leave no files. */
async function leftovers(): Promise<string[]> {
  const folders = await Promise.all(['tmp', 'out'].map(name => readdir(join(dir, name)).catch(() => [])))
  return folders.flat()
}

describe('with a mmdebstrap that works', () => {
  it('leaves two tars and says what they are', async () => {
    await fake(`echo 'I: working...' >&2; ${works}`)
    const events: StackEvent[] = []
    const stack = await create({ events })
    expect((await readdir(join(dir, 'out'))).toSorted()).toEqual(['build.tar', 'run.tar'])
    expect(await readdir(join(dir, 'tmp'))).toEqual([])
    expect(stack.run).toMatchObject({
      kind: 'run',
      tar: join(dir, 'out/run.tar'),
      packages: [{ name: 'bash', version: '5.2', architecture: 'amd64' }],
      config: { created: '2026-01-01T00:00:00Z', architecture: 'amd64', rootfs: { diff_ids: [stack.run.diffId] } },
    })
    expect(stack.run.config.config?.Labels).toMatchObject({ 'org.opencontainers.image.version': '13.7' })
    expect(events).toContainEqual({ type: 'output', image: 'run', line: 'I: working...' })
    expect(events.at(-1)?.type).toBe('finished')
  })

  it("gives it the machine's sources for another suite, and an environment with nothing to spare", async () => {
    await fake(
      `for last; do :; done; cat "$last" >"${'$'}{TMPDIR%/*/*}/seen.sources"; env >"${'$'}{TMPDIR%/*/*}/seen.env"; umask >>"${'$'}{TMPDIR%/*/*}/seen.env"; ${works}`,
    )
    const umask = process.umask(0o077)
    await create().finally(() => process.umask(umask))
    const sources = await readFile(join(dir, 'seen.sources'), 'utf8')
    expect(sources).toContain('URIs: http://u:pw@mirror.example/debian\nSuites: trixie trixie-updates\n')
    expect(sources).toContain('URIs: http://mirror.example/debian-security\nSuites: trixie-security\n')
    const env = await readFile(join(dir, 'seen.env'), 'utf8')
    expect(env).not.toContain('SECRET')
    expect(env).toContain('SOURCE_DATE_EPOCH=1754697600\n')
    expect(env).toContain('https_proxy=http://proxy.example\n')
    expect(env).toMatch(/^0022$/m)
    expect(await readFile(join(dir, 'out/build.tar'), 'latin1')).not.toContain('u:pw@')
  })

  it("passes on the machine's ways to the archive, out of sight of other users, and not into the image", async () => {
    await fake(
      `printf %s "$BALE_APT_SETTINGS" >"\${TMPDIR%/*/*}/seen.conf"; echo "$@" >"\${TMPDIR%/*/*}/seen.args"; ${works}`,
    )
    const settings = `Acquire::http::Proxy "http://me:s3cret@proxy.example";\nAcquire::Check-Valid-Until "false";`
    await tree(bin, {
      'apt-config': `#!/bin/sh\nprintf '%s\\n' '${settings}' 'Acquire::Languages "de";' 'APT::x "y";'\n`,
    })
    await chmod(join(bin, 'apt-config'), 0o755)
    await create()
    expect(await readFile(join(dir, 'seen.conf'), 'utf8')).toContain(settings)
    expect(await readFile(join(dir, 'seen.conf'), 'utf8')).not.toMatch(/Languages|APT::x/)
    expect(await readFile(join(dir, 'seen.args'), 'utf8')).not.toContain('s3cret')
    const image = await readFile(join(dir, 'out/build.tar'), 'latin1')
    expect(image).not.toContain('s3cret')
    expect(image).toContain('Acquire::Check-Valid-Until "false";')
  })

  it("follows a cloud image's list of mirrors, and trusts Debian's keys of all releases", async () => {
    await fake(works)
    const root = join(dir, 'machine')
    await rm(join(root, 'etc'), { recursive: true })
    const signed = 'Components: main\nSigned-By: /usr/share/keyrings/debian-archive-bookworm-stable.gpg\n'
    await tree(root, {
      'mirrors.list': 'https://cloud.example/debian/\tpriority:1\n',
      'etc/apt/sources.list.d/debian.sources': `Types: deb\nURIs: mirror+file://${root}/mirrors.list\nSuites: bookworm\n${signed}`,
    })
    await create()
    const build = await readFile(join(dir, 'out/build.tar'), 'latin1')
    const keyring = join(root, 'usr/share/keyrings/debian-archive-keyring.gpg')
    expect(build).toContain(
      `URIs: https://cloud.example/debian\nSuites: trixie trixie-updates\nComponents: main\nSigned-By: ${keyring}\n`,
    )
  })

  it('leaves the sources to mmdebstrap on a machine that is not a Debian, but for the keys', async () => {
    await rm(join(dir, 'machine/etc'), { recursive: true })
    await fake(`echo "$@" >"\${TMPDIR%/*/*}/seen.args"; ${works}`)
    await create()
    const args = await readFile(join(dir, 'seen.args'), 'utf8')
    expect(args).toContain(`--keyring=${join(dir, 'machine/usr/share/keyrings/debian-archive-keyring.gpg')} `)
    expect(args).toMatch(/ trixie -\n$/)
  })

  it('has the programs of another architecture run by the emulator, of whose presence it is not to make sure', async () => {
    await fake(`echo "$@" >"\${TMPDIR%/*/*}/seen.args"; ${works}`)
    const { run } = await create({ arch: 'arm64', emulator: { architecture: 'arm64' } })
    const args = await readFile(join(dir, 'seen.args'), 'utf8')
    expect(args).toContain(' --architectures=arm64 ')
    expect(args).toContain(' --skip=check/qemu ')
    expect(args).not.toContain('binfmt')
    expect(run.config).toMatchObject({ architecture: 'arm64', variant: 'v8' })
    await create()
    expect(await readFile(join(dir, 'seen.args'), 'utf8')).not.toContain('qemu')
  })

  it('registers an emulator in the namespace of mmdebstrap, by a hook that takes any path', async () => {
    const stack = await readDescription(stackDir)
    const archive = { sources: '', settings: [], keyring: undefined, extraKeyrings: [], warnings: [] }
    const there = join(dir, "it's here")
    const emulation = { architecture: 'arm64', registration: ':qemu:M::\\x7f:', dir: there }
    const job = { stack, image: stack.run, architecture: 'arm64', archive, sourcesFile: '/x', mode: 'unshare' as const }
    const argv = mmdebstrapArguments({ ...job, emulation })
    expect(argv[0]).toBe('--mode=unshare')
    const hook = argv.find(arg => /^--setup-hook=.*binfmt_misc/.test(arg))?.slice('--setup-hook='.length) ?? ''
    await tree(dir, { 'bin/mount': '#!/bin/sh\nprintf "%s\\n" "$@" >"$SEEN"\n', "it's here/register": '' })
    await chmod(join(bin, 'mount'), 0o755)
    const env = { PATH: `${bin}:/usr/bin:/bin`, SEEN: join(dir, 'seen'), [emulatorVariable]: emulation.registration }
    execFileSync('sh', ['-c', hook, 'sh', '/root-of-the-image'], { env })
    expect(await readFile(join(dir, 'seen'), 'utf8')).toBe(`-t\nbinfmt_misc\nbinfmt_misc\n${there}\n`)
    expect(await readFile(join(there, 'register'), 'utf8')).toBe(emulation.registration)
  })

  it('warns when there is no security archive, and takes mirrors that are named', async () => {
    await fake(works)
    await rm(join(dir, 'machine/etc/apt/sources.list.d'), { recursive: true })
    const events: StackEvent[] = []
    await create({ events })
    expect(events[0]).toMatchObject({ type: 'warning', message: expect.stringContaining('trixie-security') as string })
    await create({ mirror: 'http://m.example/debian', securityMirror: 'http://s.example/security' })
    const build = await readFile(join(dir, 'out/build.tar'), 'latin1')
    expect(build).toContain('URIs: http://m.example/debian\n')
    expect(build).toContain('URIs: http://s.example/security\n')
  })
})

describe('what fails', () => {
  it('no mmdebstrap', async () => {
    // The usual places are searched too, which is no matter where it is not installed.
    await tree(bin, {})
    const found = await readdir('/usr/sbin')
    expect(found).not.toContain('mmdebstrap')
    await expect(create()).rejects.toMatchObject({ code: 'engine', fix: 'apt-get install mmdebstrap uidmap' })
  })

  it("no keys of Debian's", async () => {
    await fake(works)
    await rm(join(dir, 'machine/usr'), { recursive: true })
    const without = { code: 'arguments', fix: 'apt-get install debian-archive-keyring' }
    await expect(create({ mirror: 'http://m.example/debian' })).rejects.toMatchObject(without)
    await rm(join(dir, 'machine/etc'), { recursive: true })
    await expect(create()).rejects.toMatchObject(without)
  })

  it('an architecture that Debian does not have', async () => {
    await expect(create({ arch: 'wasm' })).rejects.toThrow(/no architecture "wasm"/)
  })

  it.each([
    ['E: Unable to locate package curll', 'input', /stack\.toml/],
    ['E: unshare syscall failed: No space left on device', 'engine', /user namespaces/],
    ['E: Write error - write (28: No space left on device)', 'filesystem', /TMPDIR/],
    ['E: failed to parse /etc/subuid and /etc/subgid', 'engine', /usermod/],
    ['W: GPG error: NO_PUBKEY 6ED0E7B82643E131', 'input', /debian-archive-keyring/],
    ['E: Failed to fetch http://m.example/InRelease  Could not connect', 'failed', /proxy/],
    ['E: the moon is in the wrong phase', 'failed', undefined],
  ])('mmdebstrap says %s', async (line, code, fix) => {
    await fake(`echo 'I: starting' >&2; echo '${line}' >&2; exit 25`)
    const error: unknown = await create().catch((e: unknown) => e)
    expect(error).toMatchObject({ code, where: expect.stringMatching(/^(build|run) image of io\.bale/) as string })
    expect((error as Error).message).toContain(`mmdebstrap ended with status 25\nI: starting\n${line}`)
    const advice = (error as { fix?: string }).fix
    if (fix) expect(advice).toMatch(fix)
    else expect(advice).toBeUndefined()
    expect(await leftovers()).toEqual([])
  })

  it('K08 a password of the mirror is not in the error', async () => {
    for (const password of ['pw', 'p@pw', 'p/pw', 'p@x/pw']) {
      await fake(`echo "E: cannot reach 'http://u:${password}@mirror.example/debian'" >&2; exit 25`)
      await expect(create()).rejects.toThrow("cannot reach 'http://***@mirror.example/debian'")
    }
  })

  it('mmdebstrap succeeds but its tar is cut short', async () => {
    await fake(`head -c 700 /dev/zero | tr '\\0' x; exit 0`)
    await expect(create()).rejects.toThrow(/the output of mmdebstrap is not a complete tar/)
    expect(await leftovers()).toEqual([])
  })

  it('one image fails: the other is stopped, and waited for', async () => {
    await fake(`case "$*" in *build-essential*) exit 25;; esac; trap 'sleep 0.3; rm -r "$TMPDIR/tree"; exit 1' TERM
      mkdir -p "$TMPDIR/tree"; sleep 30 & wait`)
    await expect(create()).rejects.toMatchObject({ where: 'build image of io.bale.stacks.trixie' })
    expect(await leftovers()).toEqual([])
  })

  it('the signal ends all processes, what they wrote is gone and what was there before is not', async () => {
    await tree(dir, { 'out/run.tar': 'before' })
    await fake(`sleep 31.4159 & sleep 31.4159 & echo ready >&2; wait`)
    const controller = new AbortController()
    const running = create({ signal: controller.signal })
    await delay(300)
    controller.abort(new Error('Ctrl-C'))
    await expect(running).rejects.toThrow('Ctrl-C')
    expect(await leftovers()).toEqual(['run.tar'])
    expect(await readFile(join(dir, 'out/run.tar'), 'utf8')).toBe('before')
    expect(await processes()).not.toContain('31.4159')
  })

  it('a signal that was given before', async () => {
    await fake(works)
    await expect(create({ signal: AbortSignal.abort(new Error('too late')) })).rejects.toThrow('too late')
  })

  it('an output folder that is a file', async () => {
    await fake(works)
    await tree(dir, { out: '' })
    await expect(create()).rejects.toMatchObject({ code: 'filesystem', where: join(dir, 'out') })
  })
})

async function processes(): Promise<string> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
  const lines = await Promise.all(pids.map(pid => readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')))
  return lines.join('\n')
}
