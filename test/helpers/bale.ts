import { type ChildProcess, spawn } from 'node:child_process'
import { join, resolve } from 'node:path'
import { freePort } from '../../lifecycle/cli/app-test/check.ts'

export { freePort }

export const root = resolve(import.meta.dirname, '../..')
export const baleProgram = join(root, 'bin', 'bale')

export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
  /** Both, in the order they came. */
  readonly output: string
}

export interface Options {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Words in front of the program: `setpriv …`, `sh -c`. */
  readonly prefix?: readonly string[]
}

export interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  /** All that it has printed. */
  output(): string
}

/** Starts the real program in a new process, as a user does. */
export function startBale(args: readonly string[], options: Options = {}): Running {
  const [program, ...rest] = [...(options.prefix ?? []), baleProgram, ...args] as [string, ...string[]]
  // Variables that vitest sets would change the program's output.
  const { NO_COLOR: _n, FORCE_COLOR: _f, NODE_OPTIONS: _o, ...env } = process.env
  const child = spawn(program, rest, {
    cwd: options.cwd ?? root,
    env: { ...env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => ((stdout += text), (output += text)))
  child.stderr.setEncoding('utf8').on('data', (text: string) => ((stderr += text), (output += text)))
  const ended = new Promise<Ended>((done, failed) => {
    child.once('error', failed)
    child.once('close', (code, signal) =>
      done({ code: code ?? (signal === 'SIGKILL' ? 137 : 143), stdout, stderr, output }),
    )
  })
  return { child, ended, output: () => output }
}

export const bale = (args: readonly string[], options: Options = {}): Promise<Ended> => startBale(args, options).ended

interface Inspected {
  readonly digest: string
  readonly created: string
  /** Bytes of its compressed layers, manifest and config. */
  readonly size: number
  readonly layers: readonly { readonly what: string; readonly digest: string; readonly size: number }[]
  readonly base: { readonly name: string }
}

/** The output of `bale inspect` for an image. */
export async function inspect(image: string): Promise<Inspected> {
  return JSON.parse((await bale(['inspect', image, '--output', 'json'])).stdout) as Inspected
}

/** The digest in `name@sha256:…`, which `--quiet` prints. */
export function digestIn(ended: Ended): string {
  const match = /@(sha256:[0-9a-f]{64})/.exec(ended.stdout)
  if (ended.code !== 0 || match === null) throw new Error(`it ended with ${ended.code}:\n${ended.output}`)
  return match[1] as string
}

/** Waits for a server and returns its answer for a URL. Stops waiting if `alive` returns false. */
export async function ask(
  url: string,
  alive: () => boolean = () => true,
  milliseconds = 60_000,
): Promise<{ status: number; body: string }> {
  for (const deadline = Date.now() + milliseconds; Date.now() < deadline && alive();) {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(10_000) })
      return { status: response.status, body: await response.text() }
    } catch {
      await new Promise(done => setTimeout(done, 50))
    }
  }
  throw new Error(`${url} does not answer`)
}

/** Runs an image with `bale run`, asks it for a page, and stops it. */
export async function serveAndAsk(
  image: string,
  path = '/',
  args: readonly string[] = [],
): Promise<{ status: number; body: string; code: number }> {
  const port = await freePort()
  const running = startBale(['run', image, '--env', `PORT=${port}`, ...args])
  try {
    // A framework's server takes a second of CPU time to start, which is longer on a busy machine.
    const answer = await ask(`http://127.0.0.1:${port}${path}`, () => running.child.exitCode === null, 180_000)
    running.child.kill('SIGTERM')
    return { ...answer, code: (await running.ended).code }
  } catch (error) {
    running.child.kill('SIGTERM')
    const { output } = await running.ended
    throw new Error(`${(error as Error).message}; it printed:\n${output}`, { cause: error })
  }
}
