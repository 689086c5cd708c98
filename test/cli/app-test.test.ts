import { createServer, type Server } from 'node:http'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Check, checkApp, type Commands, type Ended, type Started } from '../../lifecycle/cli/app-test/check.ts'
import { type Expectation, parseExpectation, readExpectation } from '../../lifecycle/cli/app-test/expectation.ts'
import { testCommand } from '../../lifecycle/cli/commands/buildpack-test.ts'
import type { CommandContext } from '../../lifecycle/cli/context.ts'
import { newBuildpack } from '../../lifecycle/platform/builders/new-buildpack.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { failureOf } from '../helpers/failure.ts'

interface Program {
  readonly build?: Partial<Ended>
  readonly buildpacks?: readonly string[]
  readonly run?: Partial<Ended>
  /** What the application answers; it serves at $PORT until it is stopped. */
  readonly page?: { readonly status: number; readonly body: string }
  readonly files?: Awaited<ReturnType<Commands['files']>>
}

/** A `bale` whose commands do what a test says, with a server that is one. */
function fake(program: Program) {
  const calls: (readonly string[])[] = []
  const start = (args: readonly string[]): Started => {
    calls.push(args)
    const [command] = args
    const ends = (ended: Partial<Ended> = {}): Started => ({
      ended: Promise.resolve({ code: 0, output: '', stdout: '', ...ended }),
      hasEnded: () => true,
      stop() {},
    })
    if (command === 'build') return ends(program.build)
    if (command === 'inspect')
      return ends({ stdout: JSON.stringify({ buildpacks: program.buildpacks?.map(id => ({ id })) }) })
    return program.page === undefined ? ends(program.run) : serve(args, program.page)
  }
  return { calls, start, files: () => Promise.resolve(program.files ?? { unpacked: 0, paths: [] }) }
}

function serve(args: readonly string[], { status, body }: { status: number; body: string }): Started {
  const port = Number(/PORT=(\d+)/.exec(args.join(' '))?.[1])
  const server: Server = createServer((request, response) => {
    response.writeHead(request.url === '/health' ? status : 404).end(body)
  }).listen(port, '127.0.0.1')
  let over = false
  const ended = new Promise<Ended>(done => {
    server.on('close', () => done({ code: 143, output: 'listening', stdout: '' }))
  })
  const stop = (): void => {
    over = true
    server.closeAllConnections()
    server.close()
  }
  return { ended, hasEnded: () => over, stop }
}

async function check(expected: Expectation, program: Program) {
  const commands = fake(program)
  const checks: Check[] = []
  const app = { image: 'image', dir: '/app', expected, build: ['--network', 'none'] }
  for await (const each of checkApp(app, commands)) checks.push(each)
  const failures = checks.filter(({ failure }) => failure !== undefined)
  return { ...commands, checks, failures: failures.map(({ what, failure }) => `${what}, but ${failure}`) }
}

describe('an application that is tested', () => {
  it('is built with the variables that it asks for, and all that is expected holds', async () => {
    const expected = {
      env: { A: 'b=c' },
      detect: ['acme/x'],
      log: 'Done',
      process: 'worker',
      run: { exit: 3, output: '^bye' },
      largest: 2,
      absent: ['^/secret'],
    }
    const { checks, failures, calls } = await check(expected, {
      build: { output: 'all Done' },
      buildpacks: ['acme/x'],
      run: { code: 3, output: 'bye\n' },
      files: { unpacked: 1.9e6, paths: ['/etc/secret'] },
    })
    expect(failures).toEqual([])
    expect(checks).toHaveLength(7)
    const build = ['build', 'image', '--path', '/app', '--clear-cache', '--env', 'A=b=c', '--network', 'none']
    expect(calls[0]).toEqual(build)
    expect(calls.at(-1)).toEqual(['run', 'image', '--process', 'worker'])
  })

  it('says of each thing what came in its place', async () => {
    const expected = { detect: ['a', 'b'], log: 'x', run: { exit: 0, output: 'hello' }, largest: 1, absent: ['^/b'] }
    const { failures } = await check(expected, {
      buildpacks: ['a'],
      run: { code: 1, output: 'no' },
      files: { unpacked: 2e6, paths: ['/a', '/b/c'] },
    })
    expect(failures).toEqual([
      'its output matches /x/, but it was:\n',
      'the buildpacks are a, b, but they are a',
      'the process exits with 0, but it exited with 1',
      'its output matches /hello/, but it was:\nno',
      'the image has at most 1 MB, but it has 2.0 MB',
      'no path of the image matches /^/b/, but these do: /b/c',
    ])
  })

  it('may be one that is not built', async () => {
    const expected = { exit: 20, error: 'no group' }
    expect((await check(expected, { build: { code: 20, output: 'no group fits' } })).failures).toEqual([])
    const built = await check(expected, {})
    expect(built.failures).toEqual(['the build exits with 20, but it exited with 0'])
    expect(built.calls).toHaveLength(1)
    const { checks } = await check({ run: { exit: 0, output: '' } }, { build: { code: 51, output: 'boom' } })
    expect(checks).toEqual([{ what: 'the build succeeds', failure: 'it exited with 51', printed: 'boom' }])
  })

  it('is asked for a page at a port of its own, and stopped', async () => {
    const expected = { http: { path: '/health', status: 204, body: '^$' } }
    expect((await check(expected, { page: { status: 204, body: '' } })).failures).toEqual([])
    expect((await check(expected, { page: { status: 500, body: 'broken' } })).failures).toEqual([
      'GET /health is answered with 204, but it was 500',
      'the body of GET /health matches /^$/, but it was:\nbroken',
    ])
    expect((await check(expected, { run: { code: 1, output: 'no such module' } })).failures).toEqual([
      'GET /health is answered, but the process exited with 1. It printed:\nno such module',
    ])
  })
})

describe('an expect.json', () => {
  it.each([
    ['{ "http": { "path": "x", "status": 200, "body": "" } }', 'f http.path', 'it does not begin with /'],
    ['{ "run": { "exit": 0, "output": "(" } }', 'f run.output', 'it is not a regular expression'],
    ['{ "htpt": {} }', 'f htpt', 'there is no such key'],
    ['{ "exit": "1" }', 'f exit', 'it is not a number'],
    ['{ "http": "/" }', 'f http', 'it is not an object'],
    ['[]', 'f', 'not a JSON object but an array'],
    ['{', 'f', 'not JSON'],
  ])('%s is refused', async (content, where, message) => {
    expect(await failureOf(() => parseExpectation(content, 'f'))).toMatchObject({ code: 'arguments', where, message })
  })

  it('that is not there is said with its place', async () => {
    const dir = await temporaryDirectory()
    expect(await failureOf(() => readExpectation(dir))).toMatchObject({
      code: 'arguments',
      where: `${dir}/expect.json`,
    })
    expect(await failureOf(() => readExpectation(`${dir}/none`))).toMatchObject({ where: `${dir}/none` })
  })
})

describe('a new buildpack', () => {
  const make = (path: string, api: string, language: 'shell' | 'typescript') => {
    const targets = [{ platform: { os: 'linux', architecture: 'amd64' }, distros: [] }]
    const nodeStarter = join(import.meta.dirname, '../../buildpacks/procfile/bin/main')
    return newBuildpack({ id: 'acme/new', api, version: '1.0.0', path, targets, language, nodeStarter })
  }

  it('starts its process as its Buildpack API has it', async () => {
    const base = await temporaryDirectory()
    const script = async (api: string) => readFile(join(await make(join(base, api), api, 'shell'), 'bin/build'), 'utf8')
    expect(await script('0.8')).toContain('command = "cat"\nargs = ["hello.txt"]\ndirect = true\n')
    expect(await script('0.10')).toContain('command = ["cat", "hello.txt"]\n')
  })

  it('in TypeScript is for the APIs that the SDK knows', async () => {
    const base = await temporaryDirectory()
    expect(await failureOf(make(join(base, 'old'), '0.9', 'typescript'))).toMatchObject({ where: '--api' })
    await make(join(base, 'new'), '0.12', 'typescript')
    expect(await readFile(join(base, 'new/buildpack/bin/main'), 'utf8')).toContain('main.cjs')
  })

  it('is tested with applications that are there, which is looked at before anything is built', async () => {
    const base = await temporaryDirectory()
    const dir = await make(join(base, 'new'), '0.10', 'shell')
    const context = {} as CommandContext
    const run = (path: string, app?: string[]) => failureOf(testCommand(context, path, { ...(app && { app }) }))
    expect(await run(base)).toMatchObject({ message: `there is no buildpack in ${base}` })
    expect(await run(dir, [base])).toMatchObject({ code: 'arguments', where: `${base}/expect.json` })
    await rm(join(dir, 'test/hello/expect.json'))
    expect(await run(dir)).toMatchObject({ code: 'arguments', where: `${dir}/test` })
  })
})
