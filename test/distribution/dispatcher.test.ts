import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Available, suiteWith } from '../helpers/skip.ts'

const sources = resolve(import.meta.dirname, '../../distribution/dispatcher')
const root = mkdtempSync(join(tmpdir(), 'bale-test-dispatcher-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** How a dispatcher is made, and what starts it when this machine cannot by itself. */
interface Variant {
  readonly target: string
  readonly emulator: readonly string[]
}

const has = (program: string): boolean => spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined
const missing = (reason: string): Available<Variant> => ({ state: 'missing', reason })

function variant(target: string, compiler: string, emulator?: string): Available<Variant> {
  if (!has(compiler)) return missing(`${compiler} is missing`)
  if (emulator !== undefined && !has(emulator)) return missing(`${emulator} is missing; install qemu-user-static`)
  return { state: 'available', value: { target, emulator: emulator === undefined ? [] : [emulator] } }
}

const [own, other, otherCompiler, otherEmulator] =
  process.arch === 'arm64'
    ? (['arm64', 'amd64', 'x86_64-linux-gnu-gcc', 'qemu-x86_64-static'] as const)
    : (['amd64', 'arm64', 'aarch64-linux-gnu-gcc', 'qemu-aarch64-static'] as const)

/** In the loader's place: says what it was started with. It is a script, so its environment is the one it was given. */
const fakeLoader = `#!${process.execPath}
const { fstatSync, readSync } = require('node:fs')
const fd = Number(process.env.BALE_ENVIRONMENT)
const content = Buffer.alloc(fd ? fstatSync(fd).size : 0)
if (fd) readSync(fd, content, 0, content.length, 0)
const entries = content.toString().split('\\0').slice(0, -1)
console.log(JSON.stringify({ args: process.argv.slice(2), env: process.env, fd, entries }))
`

interface Started {
  readonly args: string[]
  readonly env: Record<string, string>
  readonly fd: number
  readonly entries: string[]
}

suiteWith('the dispatcher', variant(own, 'gcc'), value => behaves(value))
suiteWith('the dispatcher with sanitizers', variant('sanitize', 'gcc'), value => behaves(value))
suiteWith(`the dispatcher for ${other}`, variant(other, otherCompiler, otherEmulator), value => behaves(value))

function behaves({ target, emulator }: Variant): void {
  const folder = join(root, target, 'cnb', 'lifecycle')
  const binary = join(folder, 'lifecycle')

  beforeAll(() => {
    mkdirSync(folder, { recursive: true })
    execFileSync(join(sources, 'build'), [target, binary])
    for (const name of ['ld-linux-x86-64.so.2', 'ld-linux-aarch64.so.1']) {
      writeFileSync(join(folder, name), fakeLoader)
      chmodSync(join(folder, name), 0o755)
    }
    for (const name of ['analyzer', 'node']) symlinkSync('lifecycle', join(folder, name))
    symlinkSync(folder, join(root, target, 'link'))
  })

  const run = (path: string, args: readonly string[], env: Record<string, string> = {}) => {
    const [program, ...rest] = [...emulator, path, ...args] as [string, ...string[]]
    return spawnSync(program, rest, { env, encoding: 'utf8' })
  }
  const start = (path: string, args: readonly string[] = [], env: Record<string, string> = {}): Started => {
    const { stdout, stderr } = run(path, args, env)
    expect(stderr).toBe('')
    return JSON.parse(stdout) as Started
  }

  it('starts Node with the loader and libraries of its own folder', () => {
    const { args } = start(join(folder, 'analyzer'), ['-daemon', 'x'])
    expect(args).toEqual([
      '--inhibit-cache',
      '--library-path',
      folder,
      join(folder, 'nodejs'),
      '--disable-sigusr1',
      join(folder, 'start.cjs'),
      join(folder, 'analyzer'),
      '-daemon',
      'x',
    ])
  })

  it('hands arguments on as they are', () => {
    const given = ['', ' ', 'a\nb', '-x=', '--', "it's", '$HOME', 'é', '*']
    expect(start(join(folder, 'analyzer'), given).args.slice(7)).toEqual(given)
  })

  it('finds its folder through links, and keeps the name it was called by', () => {
    const called = join(root, target, 'link', 'analyzer')
    const { args } = start(called)
    expect(args[2]).toBe(folder)
    expect(args[6]).toBe(called)
  })

  it('keeps the environment out of the one that others can read (K15)', () => {
    const env = { CNB_REGISTRY_AUTH: '{"r.io":"Bearer t"}', PATH: '/bin', EMPTY: '', NODE_OPTIONS: '--inspect' }
    const started = start(join(folder, 'analyzer'), [], env)
    expect(started.env).toEqual({ BALE_ENVIRONMENT: String(started.fd) })
    expect(started.entries.sort()).toEqual(Object.entries(env).map(([name, text]) => `${name}=${text}`).sort()) // prettier-ignore
  })

  it('leaves to Node the certificates it reads before any script', () => {
    const { env } = start(join(folder, 'analyzer'), [], { NODE_EXTRA_CA_CERTS: '/ca.pem', NODE_EXTRA: 'no' })
    expect(Object.keys(env).sort()).toEqual(['BALE_ENVIRONMENT', 'NODE_EXTRA_CA_CERTS'])
  })

  it('hands over an environment of any size', () => {
    const value = 'x'.repeat(100_000)
    const { entries } = start(join(folder, 'analyzer'), [], { A: value, B: value, C: value })
    expect(entries.map(entry => entry.length)).toEqual([100_002, 100_002, 100_002])
  })

  it('is plain Node, with its environment, when called node', () => {
    const { args, env } = start(join(folder, 'node'), ['main.cjs', 'detect'], { A: 'b' })
    expect(args.slice(3)).toEqual([
      join(folder, 'nodejs'),
      '--disable-sigusr1',
      '--require',
      join(folder, 'start.cjs'),
      'main.cjs',
      'detect',
    ])
    expect(env['A']).toBe('b')
    expect(env).not.toHaveProperty('BALE_ENVIRONMENT')
  })

  it('does not hand the environment over as a standard stream that is closed', () => {
    const script = 'exec "$@" 0<&- 2>&-'
    const args = ['-c', script, 'sh', ...emulator, join(folder, 'analyzer')]
    const { stdout } = spawnSync('sh', args, { encoding: 'utf8', env: { A: 'b' } })
    expect((JSON.parse(stdout) as Started).fd).toBeGreaterThan(2)
  })

  it('says what is missing', () => {
    const bare = join(root, target, 'bare')
    mkdirSync(bare)
    execFileSync('cp', [binary, join(bare, 'detector')])
    const { status, stderr } = run(join(bare, 'detector'), [])
    expect(stderr).toMatch(/^ERROR: the lifecycle cannot start .*\/bare\/ld-linux-[^ ]+: no such file or directory\n$/)
    expect(status).toBe(1)
  })

  it('refuses a folder whose name the loader would take for a list', () => {
    const odd = join(root, target, 'a:b')
    mkdirSync(odd)
    execFileSync('cp', [binary, join(odd, 'detector')])
    const { status, stderr } = run(join(odd, 'detector'), [])
    expect(stderr).toContain(`the lifecycle cannot run from ${odd}: its path may have none of : ; $`)
    expect(status).toBe(1)
  })
}

describe('start.cjs', () => {
  const folder = join(root, 'start')
  beforeAll(() => {
    mkdirSync(folder)
    execFileSync('cp', [join(sources, 'start.cjs'), folder])
    writeFileSync(
      join(folder, 'phase.cjs'),
      'console.log(JSON.stringify({ args: process.argv.slice(2), env: process.env, program: process.execPath }))\n',
    )
  })

  const start = (entries: string, env: Record<string, string>) => {
    const file = join(root, 'environment')
    writeFileSync(file, entries)
    const { stdout } = spawnSync(
      process.execPath,
      [join(folder, 'start.cjs'), '/cnb/lifecycle/detector', '-app', 'x'],
      {
        env: { ...env, BALE_ENVIRONMENT: '3' },
        stdio: ['ignore', 'pipe', 'inherit', openSync(file, 'r')],
        encoding: 'utf8',
      },
    )
    return JSON.parse(stdout) as { args: string[]; env: Record<string, string>; program: string }
  }

  it('runs the phase with the environment that was handed over', () => {
    const { args, env } = start('A=b\0EMPTY=\0EQUALS=a=b\0MANY=x\ny\0=odd\0odd\0', {})
    expect(args).toEqual(['/cnb/lifecycle/detector', '-app', 'x'])
    expect(env).toEqual({ A: 'b', EMPTY: '', EQUALS: 'a=b', MANY: 'x\ny' })
  })

  it('takes the first of two variables of one name, as libc does', () => {
    expect(start('A=first\0A=second\0', {}).env).toEqual({ A: 'first' })
  })

  it('names itself as the program to start Node with', () => {
    expect(start('', {}).program).toBe(join(folder, 'node'))
  })
})
