import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const build = resolve(import.meta.dirname, '../../distribution/supervisor/build')
const built = new Map<string, string>()

/** The supervisor for this machine, or with sanitizers, built once for each test process. Needs a C compiler. */
export function supervisorProgram(kind: 'native' | 'sanitize' = 'native'): string {
  const known = built.get(kind)
  if (known !== undefined) return known
  const dir = mkdtempSync(join(tmpdir(), 'bale-supervisor-'))
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }))
  chmodSync(dir, 0o755)
  const path = join(dir, 'supervisor')
  const target = kind === 'native' ? (process.arch === 'x64' ? 'amd64' : process.arch) : kind
  execFileSync(build, [target, path], { stdio: ['ignore', 'ignore', 'inherit'] })
  built.set(kind, path)
  return path
}
