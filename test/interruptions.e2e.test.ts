import { execFileSync, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { lstatSync, readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { type TestContext, afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { copyImage } from '../lifecycle/stores/copy.ts'
import { layoutStore } from '../lifecycle/stores/layout/store.ts'
import { hostPlatform } from '../lifecycle/stores/settings.ts'
import { type Options, type Running, bale, digestIn, root, startBale } from './helpers/bale.ts'
import { uniqueWord } from './helpers/processes.ts'
import { type FakeRegistry, type Fault, type Recorded, startRegistry } from './helpers/registry.ts'
import { skip } from './helpers/skip.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { type Tree, writeTree } from './helpers/tree.ts'

/** A buildpack with a cached layer and an SBOM, which stays for ever in the phase that HOLD names. */
const buildpack: Tree = {
  'buildpack.toml': `api = "0.11"
[buildpack]
id = "hold"
version = "1.0.0"
sbom-formats = ["application/vnd.cyclonedx+json"]
`,
  'bin/hold': {
    script:
      '[ "${HOLD-}" != "$1" ] || { [ "$1" = detect ] || touch "$CNB_LAYERS_DIR/held"; sleep "${HOLD_FOR:-98765}"; }',
  },
  'bin/detect': { script: 'exec "$CNB_BUILDPACK_DIR/bin/hold" detect' },
  'bin/build': {
    script: `layer=$CNB_LAYERS_DIR/kept
mkdir -p "$layer"; echo content >"$layer/file"
printf '[types]\\nlaunch = true\\ncache = true\\n' >"$layer.toml"
echo '{"bomFormat":"CycloneDX","specVersion":"1.5"}' >"$CNB_LAYERS_DIR/launch.sbom.cdx.json"
exec "$CNB_BUILDPACK_DIR/bin/hold" build`,
  },
}

/** Where a user's files are, of which a build may change no others: what it keeps, and TMPDIR. */
interface Home {
  readonly dir: string
  readonly env: Readonly<Record<string, string>>
}

let template: Home
let reference: string
const platform = hostPlatform()

const homeAt = (dir: string): Home => ({
  dir,
  env: { XDG_DATA_HOME: join(dir, 'data'), XDG_CACHE_HOME: join(dir, 'cache'), TMPDIR: join(dir, 'tmp') },
})

/** A home with the machine's stack, in which `app` was built once. */
beforeAll(async () => {
  template = homeAt(execFileSync('mktemp', ['-d', '/tmp/bale-test-XXXXXXXX'], { encoding: 'utf8' }).trim())
  const data = join(process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local/share'), 'bale')
  digestIn(await bale(['build', 'bale-test-stack', '--path', join(root, 'examples/procfile'), '--quiet']))
  await mkdir(join(template.dir, 'data/bale'), { recursive: true })
  await mkdir(join(template.dir, 'tmp'))
  await symlink(join(data, 'stacks'), join(template.dir, 'data/bale/stacks'))
  const name = 'bale.local/stacks/trixie:run'
  const run = await layoutStore(join(data, 'images')).pull(name, platform)
  await copyImage(run!, layoutStore(join(template.dir, 'data/bale/images')), [name])
  await writeTree(template.dir, {
    ...Object.fromEntries(Object.entries(buildpack).map(([path, entry]) => [`bp/${path}`, entry])),
    'builder.toml': `[[buildpacks]]\nuri = "bp"\n[[order]]\n[[order.group]]\nid = "hold"\n[stack]\nuri = "${root}/stacks/trixie"\n`,
    'src/app.txt': 'an application\n',
    'other/app.txt': 'another version of it\n',
    ...Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`many/${i}.txt`, 'x'])),
  })
  reference = await digestOf(template)
}, 600_000)

afterAll(() => rm(template.dir, { recursive: true, force: true }))

async function newHome(): Promise<Home> {
  const dir = join(await temporaryDirectory(), 'home')
  execFileSync('cp', ['-al', template.dir, dir])
  return homeAt(dir)
}

const buildArgs = (home: Home, ...more: string[]): string[] => {
  return ['build', '--path', join(home.dir, 'src'), '--builder', home.dir, '--quiet', ...more]
}

/** Starts it as a shell with job control does: in a process group of its own. */
const start = (home: Home, args: string[], options: Options = {}): Running =>
  startBale(args, { ...options, env: { ...home.env, ...options.env }, prefix: ['setsid', ...(options.prefix ?? [])] })

async function digestOf(home: Home, image = 'app', ...more: string[]): Promise<string> {
  return digestIn(await bale(buildArgs(home, image, ...more), { env: home.env }))
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/**
 * All that is in a home: files by size, small ones by content. A link is not followed, as Node's own recursion may do: the
 * one to the machine's stack leads on to its /run.
 */
function contents(home: Home, below = ''): Record<string, string> {
  const found: Record<string, string> = {}
  for (const entry of readdirSync(join(home.dir, below), { withFileTypes: true })) {
    const name = join(below, entry.name)
    // What `bale history` tells of builds, of those that failed as well.
    if (name === 'data/bale/history') continue
    const path = join(home.dir, name)
    if (entry.isDirectory()) Object.assign(found, { [name]: 'directory' }, contents(home, name))
    else if (entry.isSymbolicLink()) found[name] = readlinkSync(path)
    else if (entry.isFile()) found[name] = describeFile(path)
    else found[name] = 'neither file, directory nor link'
  }
  return found
}

function describeFile(path: string): string {
  const { size } = lstatSync(path)
  return size < 100_000 ? digest(readFileSync(path)) : `${size} bytes`
}

/**
 * A build takes the trees of its cached layers, and one that does not come to its end makes them again next time.
 */
function durable(found: Record<string, string>): Record<string, string> {
  const passing = /^cache\/bale\/apps\/[^/]+\/trees\//
  return Object.fromEntries(Object.entries(found).filter(([path]) => !passing.test(path)))
}

/** Processes that work in the home, or have something of it mounted. */
function processesIn(home: Home): string[] {
  const read = (pid: string, name: string): string => {
    try {
      return name === 'cwd' ? readlinkSync(`/proc/${pid}/cwd`) : readFileSync(`/proc/${pid}/${name}`, 'latin1')
    } catch {
      return ''
    }
  }
  return readdirSync('/proc')
    .filter(pid => /^\d+$/.test(pid))
    .filter(pid => ['cwd', 'cmdline', 'mountinfo', 'environ'].some(name => read(pid, name).includes(home.dir)))
    .map(pid => `${pid} ${read(pid, 'cmdline').replaceAll('\0', ' ')}`)
}

async function until(condition: () => boolean, running?: Running): Promise<void> {
  for (const deadline = performance.now() + 60_000; !condition(); await sleep(5)) {
    if (running !== undefined && running.child.exitCode !== null) throw new Error(`it ended: ${running.output()}`)
    if (performance.now() > deadline) throw new Error('it did not come to pass')
  }
}

const works = (home: Home): string[] =>
  readdirSync(join(home.dir, 'cache/bale/work')).map(n => join(home.dir, 'cache/bale/work', n))
const holds = (home: Home, path: string) => (): boolean =>
  works(home).some(work => {
    try {
      return lstatSync(join(work, path)).isFile() || readdirSync(join(work, path)).length > 0
    } catch {
      return false
    }
  })

async function serve(): Promise<FakeRegistry> {
  const registry = await startRegistry()
  onTestFinished(() => registry.close())
  return registry
}

/** A build that has come to a phase and stays there. */
interface Held {
  readonly running: Running
  /** The name of its image, and where that is. */
  readonly image: readonly [string, ...string[]]
  readonly before: Record<string, string>
}

type Hold = (home: Home) => Promise<Held>

const holdUntil =
  (isHeld: (home: Home) => boolean, ...args: string[]): Hold =>
  async home => {
    const before = contents(home)
    const running = start(home, buildArgs(home, 'app', ...args))
    await until(() => isHeld(home), running)
    return { running, image: ['app'], before }
  }
const holdIn = (path: string, ...args: string[]): Hold => holdUntil(home => holds(home, path)(), ...args)

/** bin/detect can write nothing that is seen here: it is known by how long it sleeps. */
const holdInDetect: Hold = home => {
  const word = uniqueWord()
  const isHeld = () => readdirSync('/proc').some(pid => commandOf(pid) === `sleep\0${word}\0`)
  return holdUntil(isHeld, '--env', 'HOLD=detect', '--env', `HOLD_FOR=${word}`)(home)
}

function commandOf(pid: string): string {
  try {
    return /^\d+$/.test(pid) ? readFileSync(`/proc/${pid}/cmdline`, 'latin1') : ''
  } catch {
    return ''
  }
}

/** A build for a registry that does not answer a certain request, once the image was built there before. */
const holdAt =
  (hangs: (request: Recorded) => boolean, source = 'src'): Hold =>
  async home => {
    const registry = await serve()
    const image = [`${registry.host}/team/app`, '--publish'] as const
    expect(await digestOf(home, ...image)).toBe(reference)
    const before = contents(home)
    const asked = { one: false }
    registry.faults = (request): Fault | undefined => {
      if (!hangs(request)) return undefined
      asked.one = true
      return { hang: true }
    }
    const running = start(home, buildArgs(home, ...image, '--path', join(home.dir, source)))
    await until(() => asked.one, running)
    registry.faults = undefined
    return { running, image, before }
  }

const isUpload = ({ method, url }: Recorded): boolean => /PUT|PATCH/.test(method) && url.pathname.includes('/uploads/')
const isPull = (what: string, { method, url }: Recorded): boolean => method === 'GET' && url.pathname.includes(what)

/** Analyze asks for a manifest and its config; restore then for the one layer that it needs, which is that of the SBOM. */
function isLayer(): (request: Recorded) => boolean {
  let blobs = 0
  return request => isPull('/blobs/sha256:', request) && ++blobs > 1
}

const phases: readonly [phase: string, hold: Hold][] = [
  ['the copy of the source', home => holdIn('workspace', '--path', join(home.dir, 'many'))(home)],
  ['analyze', holdAt(request => isPull('/manifests/', request))],
  ['detect', holdInDetect],
  ['restore', home => holdAt(isLayer())(home)],
  ['build', holdIn('layers/hold/held', '--env', 'HOLD=build')],
  ['export', holdAt(isUpload, 'other')],
]

const stops: readonly [how: string, stop: (running: Running) => void, status: number, words: string][] = [
  ['Ctrl-C', ({ child }) => process.kill(-child.pid!, 'SIGINT'), 130, 'ERROR: stopped by SIGINT\n'],
  ['SIGTERM', ({ child }) => process.kill(child.pid!, 'SIGTERM'), 143, 'ERROR: stopped by SIGTERM\n'],
]

describe.each(phases)('in %s', (_phase, hold) => {
  it.each(stops)('%s: one message, nothing left, nothing lost', async (_how, stop, status, words) => {
    const home = await newHome()
    const { running, image, before } = await hold(home)
    stop(running)
    const { code, stderr } = await running.ended
    expect({ code, stderr }).toEqual({ code: status, stderr: words })
    expect(processesIn(home).filter(process => !/^\d+ rm -rf /.test(process))).toEqual([])
    await until(() => works(home).length === 0) // what takes longer than a moment goes behind the user's back
    expect(durable(contents(home))).toEqual(durable(before))
    expect(await digestOf(home, ...image)).toBe(reference)
  })

  it('SIGKILL: the sandbox dies too, and the next build clears what is left', async () => {
    const home = await newHome()
    const { running, image } = await hold(home)
    process.kill(-running.child.pid!, 'SIGKILL')
    await running.ended
    await until(() => processesIn(home).length === 0)
    expect(works(home)).toHaveLength(1)
    expect(await digestOf(home, ...image)).toBe(reference)
    await until(() => works(home).length === 0)
  })
})

describe('while the stack is made', () => {
  it.each(stops)('%s: one message, and nothing of it left', async (_how, stop, status, words) => {
    const mirror = await serve()
    mirror.faults = () => ({ hang: true })
    const home = homeAt(await temporaryDirectory())
    await mkdir(home.env['TMPDIR'] as string)
    await writeTree(home.dir, { 'src/Procfile': 'web: true\n' })
    const env = { BALE_DEBIAN_MIRROR: mirror.url }
    const running = start(home, ['build', 'app', '--path', join(home.dir, 'src'), '--quiet'], { env })
    await until(() => mirror.requests.length > 0, running)
    stop(running)
    expect(await running.ended).toMatchObject({ code: status, stderr: words })
    expect(processesIn(home)).toEqual([])
    expect(Object.keys(contents(home)).filter(path => path.startsWith('tmp/'))).toEqual([])
    expect(readdirSync(join(home.dir, 'data/bale/stacks', `trixie-${platform.architecture}`))).toEqual([])
  })

  it('SIGKILL: mmdebstrap ends too, and the next attempt clears what is left', async () => {
    const mirror = await serve()
    mirror.faults = () => ({ hang: true })
    const home = homeAt(await temporaryDirectory())
    await mkdir(home.env['TMPDIR'] as string)
    await writeTree(home.dir, { 'src/Procfile': 'web: true\n' })
    const env = { BALE_DEBIAN_MIRROR: mirror.url }
    const args = ['build', 'app', '--path', join(home.dir, 'src'), '--quiet']
    const running = start(home, args, { env })
    await until(() => mirror.requests.length > 0, running)
    process.kill(-running.child.pid!, 'SIGKILL')
    await running.ended
    await until(() => processesIn(home).length === 0)
    const asked = mirror.requests.length
    const again = start(home, args, { env })
    await until(() => mirror.requests.length > asked, again)
    process.kill(again.child.pid!, 'SIGTERM')
    await again.ended
    expect(Object.keys(contents(home)).filter(path => path.startsWith('tmp/'))).toEqual([])
    expect(readdirSync(join(home.dir, 'data/bale/stacks', `trixie-${platform.architecture}`))).toEqual([])
  })
})

describe('at any moment', () => {
  it('SIGKILL: the next build works, and nothing is left', async () => {
    const home = await newHome()
    await digestOf(home)
    const clean = contents(home)
    const started = performance.now()
    await digestOf(home)
    const duration = performance.now() - started
    for (let i = 0; i < 6; i++) {
      const running = start(home, buildArgs(home, 'app', '--path', join(home.dir, i % 2 === 0 ? 'src' : 'other')))
      const moment = Math.random() * duration
      await Promise.race([sleep(moment), running.ended])
      if (running.child.exitCode === null) process.kill(-running.child.pid!, 'SIGKILL')
      await running.ended
      expect(await digestOf(home), `killed after ${moment} ms`).toBe(reference)
    }
    await until(() => processesIn(home).length === 0)
    expect((await bale(['image', 'ls'], { env: home.env })).code).toBe(0)
    const left = Object.keys(contents(home)).filter(path => !(path in clean) && !path.includes('/blobs/'))
    expect(left).toEqual([])
  })
})

describe('a full disk', () => {
  const full = (context: TestContext, home: Home, what: 'cache' | 'data/bale/images', bytes: number): void => {
    const dir = join(home.dir, what)
    if (spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', dir]).status !== 0)
      skip(context, 'only root can mount a small disk')
    execFileSync('mv', [dir, `${dir}.old`])
    execFileSync('mkdir', [dir])
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=755`, 'tmpfs', dir])
    onTestFinished(() => void execFileSync('umount', ['-l', dir]))
    execFileSync('cp', ['-a', `${dir}.old/.`, dir])
    execFileSync('rm', ['-rf', `${dir}.old`])
  }
  const used = (path: string): number =>
    Number(execFileSync('du', ['-s', '-B1', path], { encoding: 'utf8' }).split('\t')[0])

  it.for(['cache', 'data/bale/images'] as const)('below %s: says so, and all is as before', async (what, context) => {
    const home = await newHome()
    await writeTree(home.dir, { 'large/app.txt': '' })
    // Noise, which is as large in the image as it is here.
    await writeFile(join(home.dir, 'large/noise'), randomBytes(6_000_000))
    full(context, home, what, used(join(home.dir, what)) + 3_000_000)
    const before = contents(home)
    const { code, stderr } = await bale(buildArgs(home, 'app', '--path', join(home.dir, 'large')), { env: home.env })
    expect(stderr).toMatch(/^ERROR: .*(disk is full|ENOSPC)/)
    expect(stderr).toContain('free some space')
    expect(stderr.split('\n')).toHaveLength(3)
    expect(code).toBe(what === 'cache' ? 1 : 62)
    expect(durable(contents(home))).toEqual(durable(before))
    expect(await digestOf(home)).toBe(reference)
  })
})

describe('a registry that refuses', () => {
  it.each([
    [401, 'UNAUTHORIZED', 'who are you'],
    [403, 'DENIED', 'not with this name'],
    [404, 'NAME_UNKNOWN', 'no such project'],
    [500, 'UNKNOWN', 'the backend is on fire'],
  ])('%d for the image: its own words, before any work', async (status, code, message) => {
    const registry = await serve()
    registry.faults = ({ method }) =>
      method === 'GET' || method === 'HEAD' ? undefined : refusal(status, code, message)
    const home = await newHome()
    const ended = await bale(['build', `${registry.host}/team/app`, '--publish', ...buildArgs(home).slice(1)], {
      env: home.env,
    })
    expect(ended.stderr).toContain(message)
    expect(ended.stderr).toContain(String(status))
    expect(ended.stderr).toContain(registry.host)
    expect(ended.code).toBe(32)
    expect(ended.output).not.toContain('participating')
    expect(registry.received).toBe(0)
  })

  it.each([
    [401, 'UNAUTHORIZED', 'who are you'],
    [403, 'DENIED', 'not for you'],
    [404, 'MANIFEST_UNKNOWN', 'never heard of it'],
    [500, 'UNKNOWN', 'the backend is on fire'],
  ])('%d for the run image', async (status, code, message) => {
    const registry = await serve()
    registry.faults = () => refusal(status, code, message)
    const home = await newHome()
    const before = contents(home)
    const { stderr, code: exit } = await bale(buildArgs(home, 'app', '--run-image', `${registry.host}/base/run:1`), {
      env: home.env,
    })
    expect(stderr).toContain(`${registry.host}`)
    expect(stderr).toContain(status === 404 ? 'does not exist' : message)
    expect(exit).toBe(status === 404 ? 3 : 32)
    expect(contents(home)).toEqual(before)
  })
})

const refusal = (status: number, code: string, message: string): Fault => ({
  answer: {
    status,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ errors: [{ code, message }] }),
  },
})

describe('a source that cannot be read', () => {
  it('a file that this user may not read: which, and what to do', async context => {
    const home = await newHome()
    await writeTree(home.dir, { 'secret/inner/key.txt': 'x' })
    await chmod(join(home.dir, 'secret/inner/key.txt'), 0)
    const drop = '-dac_override,-dac_read_search'
    const prefix = process.geteuid?.() === 0 ? ['setpriv', '--bounding-set', drop, '--inh-caps', drop] : []
    if (prefix.length > 0 && spawnSync(prefix[0] as string, [...prefix.slice(1), 'true']).status !== 0)
      skip(context, 'root cannot give up its capabilities here')
    const before = contents({ ...home, dir: join(home.dir, 'cache') })
    const { code, stderr } = await bale(buildArgs(home, 'app', '--path', join(home.dir, 'secret')), {
      env: home.env,
      prefix,
    })
    expect(stderr).toBe(
      `ERROR: ${home.dir}/secret/inner/key.txt: cannot copy it: permission denied\nFix: make it readable, or move it out of the source directory\n`,
    )
    expect(code).toBe(1)
    expect(contents({ ...home, dir: join(home.dir, 'cache') })).toEqual(before)
  })
})

describe('a running image', () => {
  it('that is killed leaves nothing that the next run does not clear', async () => {
    const home = await newHome()
    const unpacked = (): string[] => readdirSync(join(home.dir, 'cache/bale/unpacked'))
    const running = start(home, ['run', 'app', '--', 'sh', '-c', 'echo up; exec sleep 98765'])
    await until(() => running.output().includes('up'), running)
    expect(unpacked().filter(name => name.startsWith('.run-'))).toHaveLength(1)
    process.kill(-running.child.pid!, 'SIGKILL')
    await running.ended
    await until(() => processesIn(home).length === 0)
    expect((await bale(['run', 'app', '--', 'true'], { env: home.env })).code).toBe(0)
    expect(unpacked()).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)])
  })
})
