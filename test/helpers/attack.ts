import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

let built: string | undefined

/** test/attacks/attack.c as a static program that every user can run: what a hostile process does. Needs a C compiler. */
export function attackProgram(): string {
  if (built !== undefined) return built
  const dir = mkdtempSync(join(tmpdir(), 'bale-attack-'))
  process.once('exit', () => execFileSync('rm', ['-rf', dir]))
  chmodSync(dir, 0o755)
  const path = join(dir, 'attack')
  const source = join(import.meta.dirname, '..', 'attacks', 'attack.c')
  execFileSync('cc', ['-static', '-O1', '-Wall', '-Wextra', '-o', path, source])
  return (built = path)
}

/** Exchanges two names, again and again, until the test is over. */
export function swapForEver(a: string, b: string): void {
  const child = spawn(attackProgram(), ['swap', a, b], { stdio: ['ignore', 'ignore', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
}
