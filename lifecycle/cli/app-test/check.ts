import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Expectation } from './expectation.ts'

// Builds an application with `bale build`, starts its image with `bale run`, and compares the results with its expect.json.

export interface Ended {
  readonly code: number
  /** What the command printed, on standard output and standard error. */
  readonly output: string
  readonly stdout: string
}

export interface Started {
  readonly ended: Promise<Ended>
  hasEnded(): boolean
  stop(): void
}

/** The commands of `bale`, each in its own process, so that a test sees the same as a user. */
export interface Commands {
  start(args: readonly string[]): Started
  /** The total size in bytes of the files that a container sees, and their absolute paths. */
  files(image: string): Promise<{ readonly unpacked: number; readonly paths: readonly string[] }>
}

export interface TestedApp {
  readonly image: string
  readonly dir: string
  readonly expected: Expectation
  /** Additional arguments of `bale build`. */
  readonly build: readonly string[]
}

/** What was expected and, if the check failed, what was found instead. */
export interface Check {
  readonly what: string
  readonly failure?: string
  /** The last lines of the output of a failed build. The user may have seen them already. */
  readonly printed?: string
}

/** Milliseconds. A framework's server needs about a second of CPU time to start, which takes long on a busy machine. */
const patience = 180_000
const longestBody = 4_000_000

/**
 * Builds as on a machine that never built the application: output and image must not depend on an earlier test.
 * Stops after the first failure that makes further checks pointless.
 */
export async function* checkApp(app: TestedApp, commands: Commands): AsyncGenerator<Check> {
  const { image, dir, expected, build } = app
  const { env = {}, exit = 0, error, log } = expected
  const variables = Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`])
  const built = await commands.start(['build', image, '--path', dir, '--clear-cache', ...variables, ...build]).ended
  const wanted = exit === 0 ? 'the build succeeds' : `the build exits with ${exit}`
  const check = verdict(wanted, built.code === exit, `it exited with ${built.code}`)
  yield check.failure === undefined ? check : { ...check, printed: lastOf(built.output) }
  if (error !== undefined && built.code !== 0) yield matching('its output', error, built.output)
  if (built.code !== 0 || exit !== 0) return
  if (log !== undefined) yield matching('its output', log, built.output)
  if (expected.detect !== undefined) yield await checkBuildpacks(image, expected.detect, commands)
  yield* checkProcess(app, commands)
  yield* checkFiles(app, commands)
}

async function checkBuildpacks(image: string, wanted: readonly string[], commands: Commands): Promise<Check> {
  const { stdout } = await commands.start(['inspect', image, '--output', 'json']).ended
  const ids = (JSON.parse(stdout) as { buildpacks: { id: string }[] }).buildpacks.map(({ id }) => id)
  const came = ids.join(', ')
  return verdict(`the buildpacks are ${wanted.join(', ')}`, came === wanted.join(', '), `they are ${came}`)
}

async function* checkProcess({ image, expected }: TestedApp, commands: Commands): AsyncGenerator<Check> {
  const type = expected.process === undefined ? [] : ['--process', expected.process]
  if (expected.http !== undefined) {
    const { path, status, body } = expected.http
    const answer = await serve(image, path, type, commands)
    if ('failure' in answer) yield { what: `GET ${path} is answered`, failure: answer.failure }
    else {
      yield verdict(`GET ${path} is answered with ${status}`, answer.status === status, `it was ${answer.status}`)
      yield matching(`the body of GET ${path}`, body, answer.body)
    }
  }
  if (expected.run !== undefined) {
    const { exit, output } = expected.run
    const running = commands.start(['run', image, ...type])
    let isSlow = false
    const timer = setTimeout(() => ((isSlow = true), running.stop()), patience)
    const ran = await running.ended
    clearTimeout(timer)
    const ended = `it exited with ${ran.code}`
    yield verdict(
      `the process exits with ${exit}`,
      ran.code === exit,
      isSlow ? `${ended}, stopped after ${patience / 1000} seconds` : ended,
    )
    yield matching('its output', output, ran.output)
  }
}

async function* checkFiles({ image, expected }: TestedApp, commands: Commands): AsyncGenerator<Check> {
  const { largest, absent = [] } = expected
  if (largest === undefined && absent.length === 0) return
  const { unpacked, paths } = await commands.files(image)
  const size = unpacked / 1e6
  if (largest !== undefined)
    yield verdict(`the image has at most ${largest} MB`, size <= largest, `it has ${size.toFixed(1)} MB`)
  for (const pattern of absent) {
    const found = paths.filter(each => new RegExp(pattern).test(each))
    yield verdict(`no path of the image matches /${pattern}/`, found.length === 0, `these do: ${someOf(found)}`)
  }
}

type Answer = { readonly status: number; readonly body: string } | { readonly failure: string }

/** Runs the image with a PORT of its own, asks it for a page, and stops it. */
async function serve(image: string, path: string, args: readonly string[], commands: Commands): Promise<Answer> {
  const port = await freePort()
  const running = commands.start(['run', image, '--env', `PORT=${port}`, ...args])
  const deadline = Date.now() + patience
  let answer: Answer | undefined
  while (answer === undefined && Date.now() < deadline && !running.hasEnded()) {
    answer = await ask(`http://127.0.0.1:${port}${path}`)
    if (answer === undefined) await sleep(50)
  }
  const ended = running.hasEnded()
  running.stop()
  const { code, output } = await running.ended
  if (answer !== undefined) return answer
  const why = ended ? `the process exited with ${code}` : `nothing answered at $PORT for ${patience / 1000} seconds`
  return { failure: `${why}. It printed:\n${lastOf(output)}` }
}

/** Returns undefined while no server listens at the URL. */
async function ask(url: string): Promise<{ status: number; body: string } | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(10_000) })
    const decoder = new TextDecoder()
    let body = ''
    for await (const chunk of response.body ?? []) {
      body += decoder.decode(chunk as Uint8Array, { stream: true })
      if (body.length > longestBody) break // an endless stream
    }
    return { status: response.status, body }
  } catch {
    return undefined
  }
}

export function freePort(): Promise<number> {
  return new Promise((done, failed) => {
    const server = createServer().once('error', failed)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => done(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

function verdict(what: string, holds: boolean, otherwise: string): Check {
  return holds ? { what } : { what, failure: otherwise }
}

function matching(name: string, pattern: string, actual: string): Check {
  return verdict(`${name} matches /${pattern}/`, new RegExp(pattern).test(actual), `it was:\n${lastOf(actual)}`)
}

const lastOf = (output: string): string => (output.length > 4000 ? `…${output.slice(-4000)}` : output).trimEnd()
const someOf = (paths: readonly string[]): string =>
  `${paths.slice(0, 5).join(', ')}${paths.length > 5 ? ` and ${paths.length - 5} more` : ''}`
