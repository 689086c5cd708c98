import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '../..')
const built = new Map<string, string>()

/** The supervisor for this machine, or with sanitizers, built once for each test process. Needs a C compiler. */
export function supervisorProgram(kind: 'native' | 'sanitize' = 'native'): string {
  return program('distribution/supervisor', kind)
}

/** The program of lifecycle/engines/landlock for this machine, built once for each test process. Needs a C compiler. */
export function landlockProgram(): string {
  return program('lifecycle/engines/landlock', 'native')
}

/** The version of the kernel's interface. */
export function landlockVersion(): number {
  return Number(execFileSync(landlockProgram(), { encoding: 'utf8' }))
}

function program(source: string, kind: 'native' | 'sanitize'): string {
  const known = built.get(source + kind)
  if (known !== undefined) return known
  const dir = mkdtempSync(join(tmpdir(), 'bale-program-'))
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }))
  chmodSync(dir, 0o755)
  const path = join(dir, 'program')
  const target = kind === 'native' ? (process.arch === 'x64' ? 'amd64' : process.arch) : kind
  const args = source === 'lifecycle/engines/landlock' ? [path] : [target, path]
  execFileSync(join(root, source, 'build'), args, { stdio: ['ignore', 'ignore', 'inherit'] })
  built.set(source + kind, path)
  return path
}
