/**
 * Runs the real launcher on an image written as a literal: `{ '/layers/config/metadata.toml': '...' }`.
 *
 * Every suite runs once for each launcher there is: this machine's, the other architecture's through qemu, and the one
 * built with sanitizers (`launcher/build sanitize`). One that is not there is a skip with its reason: in CI, a failure.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, describe } from 'vitest'
import { type Available, suiteWith } from '../helpers/skip.ts'

const folder = new URL('../../launcher/', import.meta.url).pathname
export const dist = join(folder, 'dist')

interface Launcher {
  readonly binary: string
  /** What starts it, when this machine cannot by itself. */
  readonly emulator?: string
  /** About how many times slower it is than the one that is shipped. */
  readonly slowness: number
}

function onPath(program: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(':')
    .map(entry => join(entry, program))
    .find(existsSync)
}

const missing = (reason: string): Available<never> => ({ state: 'missing', reason })

/** The launchers for this project's architectures that could be built here. */
export const compiled: Available<readonly string[]> = compile()

function compile(): Available<readonly string[]> {
  if (onPath('gcc') === undefined) return missing('gcc is missing')
  execFileSync(join(folder, 'build'), { stdio: ['ignore', 'ignore', 'inherit'] })
  return {
    state: 'available',
    value: ['amd64', 'arm64'].filter(arch => existsSync(join(dist, `launcher-linux-${arch}`))),
  }
}

/** The programs, where any user may run them and a build does not replace them meanwhile. */
const tools = mkdtempSync(join(tmpdir(), 'launcher-tools-'))
chmodSync(tools, 0o755)
const removeTools = (): void => rmSync(tools, { recursive: true, force: true })
process.on('exit', removeTools)
// How vitest ends a worker.
process.once('SIGTERM', () => {
  removeTools()
  process.kill(process.pid, 'SIGTERM')
})

function take(name: string, launcher: Omit<Launcher, 'binary'>): Available<Launcher> {
  const binary = join(tools, name)
  copyFileSync(join(dist, name), binary)
  return { state: 'available', value: { binary, ...launcher } }
}

function findArchitecture(name: 'amd64' | 'arm64'): Available<Launcher> {
  if (compiled.state === 'missing') return compiled
  if (!compiled.value.includes(name)) return missing(`no compiler for ${name}: see what launcher/build says`)
  if (name === own) return take(`launcher-linux-${name}`, { slowness: 1 })
  const machine = { amd64: 'x86_64', arm64: 'aarch64' }[name]
  const emulator = onPath(`qemu-${machine}-static`) ?? onPath(`qemu-${machine}`)
  return emulator === undefined
    ? missing(`qemu-${machine}-static is missing; install the Debian package qemu-user-static`)
    : take(`launcher-linux-${name}`, { emulator, slowness: 4 })
}

function findSanitized(): Available<Launcher> {
  if (compiled.state === 'missing') return compiled
  if (!existsSync(join(dist, 'launcher-sanitize'))) return missing('not built: launcher/build sanitize')
  execFileSync(join(folder, 'build'), ['sanitize'])
  return take('launcher-sanitize', { slowness: 2 })
}

const [own, other] = process.arch === 'arm64' ? (['arm64', 'amd64'] as const) : (['amd64', 'arm64'] as const)
const launchers: readonly (readonly [string, Available<Launcher>])[] = [
  [own, findArchitecture(own)],
  [other, findArchitecture(other)],
  ['sanitized', findSanitized()],
]
export const showProgram = join(tools, 'show')
if (compiled.state === 'available') {
  const source = new URL('show.c', import.meta.url).pathname
  execFileSync('gcc', ['-O1', '-static', '-o', showProgram, source])
}

// ---- trees ----

export const fifo = { fifo: true } as const
export type Entry =
  | string
  | Buffer
  | { readonly content: string; readonly mode: number }
  | { readonly link: string }
  | { readonly zeros: number }
  | typeof fifo
export type Tree = Readonly<Record<string, Entry>>

/** `{root}` stands for the image's root in contents, links and arguments; results have it taken out again. */
export const script = (body: string): Entry => ({ content: `#!/bin/sh\n${body}\n`, mode: 0o755 })
export const link = (target: string): Entry => ({ link: target })

export function buildpack(id: string, api = '0.10'): string {
  return `[[buildpacks]]\nid = ${JSON.stringify(id)}\nversion = "1.0.0"\napi = ${JSON.stringify(api)}\n`
}

/** JSON's strings, arrays and booleans are TOML's as well. */
export function processType(type: string, fields: Record<string, unknown>): string {
  const lines = Object.entries({ type, ...fields }).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
  return `[[processes]]\n${lines.join('')}`
}

/** One buildpack `acme/one`, whose layers are in /layers/acme_one, and a process `web` that shows what it gets. */
export const webMetadata = (api = '0.10'): string =>
  buildpack('acme/one', api) + processType('web', { command: ['show'], direct: true, 'buildpack-id': 'acme/one' })

function writeTree(root: string, tree: Tree): void {
  for (const [path, entry] of Object.entries(tree)) {
    const target = join(root, path)
    mkdirSync(path.endsWith('/') ? target : dirname(target), { recursive: true })
    if (path.endsWith('/')) continue
    if (Buffer.isBuffer(entry)) writeFileSync(target, entry)
    else if (typeof entry === 'string') writeFileSync(target, entry.replaceAll('{root}', root))
    else if ('fifo' in entry) execFileSync('mkfifo', [target])
    else if ('link' in entry) symlinkSync(entry.link.replaceAll('{root}', root), target)
    else if ('zeros' in entry) {
      writeFileSync(target, '')
      truncateSync(target, entry.zeros)
    } else {
      writeFileSync(target, entry.content.replaceAll('{root}', root))
      chmodSync(target, entry.mode)
    }
  }
}

// ---- running ----

export interface RunOptions {
  /** argv[0]: chooses the process. */
  readonly as?: string
  readonly args?: readonly string[]
  /** Beside CNB_PLATFORM_API=0.12, CNB_APP_DIR, CNB_LAYERS_DIR and PATH; undefined takes one of these away. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
  readonly stdin?: string
  /** How show.c starts the launcher instead of Node. */
  readonly odd?: string
  /** Needs root. */
  readonly uid?: number
  readonly deadline?: number
  /** Called when the launcher runs. */
  readonly meanwhile?: (child: ChildProcess, root: string) => Promise<void> | void
}

export interface Shown {
  readonly argv: string[]
  readonly cwd: string
  readonly env: Record<string, string>
  /** As they came: also what is no NAME=value. */
  readonly entries: string[]
}

export interface Result {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** What the app saw, if the app was `show`. */
  readonly app: Shown
  readonly root: string
  readonly file: (path: string) => Promise<string>
}

export type Run = (tree: Tree, options?: RunOptions) => Promise<Result>

export function parseShown(output: string): Shown {
  const [count = '0', ...rest] = output.split('\0')
  const entries = rest.slice(Number(count) + 1, -1)
  const pairs = entries.map((entry): [string, string] => {
    const at = entry.indexOf('=')
    return at < 0 ? [entry, ''] : [entry.slice(0, at), entry.slice(at + 1)]
  })
  return { argv: rest.slice(0, Number(count)), cwd: rest[Number(count)] ?? '', env: Object.fromEntries(pairs), entries }
}

async function runLauncher(launcher: Launcher, root: string, tree: Tree, options: RunOptions): Promise<Result> {
  writeTree(root, { '/workspace/': '', '/bin/show': link(showProgram), ...tree })
  chmodSync(root, 0o755)
  const expand = (text: string): string => text.replaceAll('{root}', root)
  const env: Record<string, string> = {}
  const defaults = {
    PATH: '{root}/bin:/usr/bin:/bin',
    CNB_PLATFORM_API: '0.12',
    CNB_APP_DIR: '{root}/workspace',
    CNB_LAYERS_DIR: '{root}/layers',
  }
  for (const [name, value] of Object.entries({ ...defaults, ...options.env }))
    if (value !== undefined) env[name] = expand(value)
  const name = options.as ?? '/cnb/process/web'
  const args = (options.args ?? []).map(expand)
  const command = launcher.emulator ? [launcher.emulator, '-0', name, launcher.binary] : [launcher.binary]
  if (options.odd) {
    command.unshift(showProgram, '--odd', options.odd)
    if (!launcher.emulator) env.ODD_ARGV0 = name
  }
  const child = spawn(command[0] ?? '', [...command.slice(1), ...args], {
    ...(launcher.emulator || options.odd ? {} : { argv0: name }),
    env,
    cwd: options.cwd ? expand(options.cwd) : root,
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
    detached: true,
    timeout: (options.deadline ?? 10_000) * launcher.slowness,
    killSignal: 'SIGKILL',
  })
  const chunks: { out: Buffer[]; err: Buffer[] } = { out: [], err: [] }
  child.stdout.on('data', (chunk: Buffer) => chunks.out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => chunks.err.push(chunk))
  child.stdin.on('error', () => undefined) // an app that never reads
  child.stdin.end(options.stdin ?? '')
  const ended = new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', () => endGroup(child.pid))
    child.on('close', (code, signal) => resolve([code, signal]))
  })
  await options.meanwhile?.(child, root)
  const [code, signal] = await ended
  const clean = (text: string): string => text.replaceAll(root, '')
  const stdout = clean(Buffer.concat(chunks.out).toString())
  const stderr = clean(Buffer.concat(chunks.err).toString())
  const file = async (path: string): Promise<string> => clean(await readFile(join(root, path), 'utf8'))
  return { code, signal, stdout, stderr, app: parseShown(stdout), root, file }
}

/** What an exec.d program leaves behind would hold the pipes open for long. */
function endGroup(leader: number | undefined): void {
  if (leader === undefined) return
  try {
    process.kill(-leader, 'SIGKILL')
  } catch {
    // Nothing was left.
  }
}

/** A suite for every launcher. What runs it gets a fresh image each time. */
export function describeLauncher(title: string, suite: (run: Run, launcher: Launcher) => void): void {
  for (const [name, launcher] of launchers)
    if (launcher.state === 'available')
      describe.concurrent(`${title} (${name})`, () => suite(runner(launcher.value), launcher.value))
    else suiteWith(`${title} (${name})`, launcher, () => undefined)
}

function runner(launcher: Launcher): Run {
  const roots: string[] = []
  // At once: a thousand steps, each in line behind other tests, took longer than a hook may.
  afterAll(() => {
    for (const root of roots) rmSync(root, { recursive: true, force: true })
  })
  return async (tree, options = {}) => {
    const root = await mkdtemp(join(tmpdir(), 'launcher-'))
    roots.push(root)
    return runLauncher(launcher, root, tree, options)
  }
}

/** The oracle for the launcher's own failures: its code, one line, and no control character in it. */
export function isOneErrorLine(stderr: string): boolean {
  return /^ERROR: [^\x00-\x1f\x7f]+\n$/.test(stderr)
}
