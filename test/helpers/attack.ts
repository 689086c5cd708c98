import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

let built: string | undefined

/** Compiles the hostile program test/attacks/attack.c to a static program that every user can run. Needs a C compiler. */
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

/** Exchanges two names repeatedly until the test ends. */
export function swapForEver(a: string, b: string): void {
  const child = spawn(attackProgram(), ['swap', a, b], { stdio: ['ignore', 'ignore', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
}

/** Shell script: makes a layer `own`, which other buildpacks must not change. */
export const makesLayer = `mkdir -p "$1/own"; echo mine > "$1/own/file"
printf '[types]\\nlaunch = true\\nbuild = true\\ncache = true\\n' > "$1/own.toml"`

/** Shell script for bin/build of test/second, after test/first made its layer. Prints `done: …` for each change that succeeds (X27, X49). */
export const changesOthers = `exec 2>/dev/null
try() { sh -c "$1" && echo "done: $1"; }
try 'echo evil > /layers/test_first/own/file'
try 'rm -rf /layers/test_first/own'
try 'mv /layers/test_first /layers/test_third'
try 'mkdir /layers/test_third'
try 'echo evil > /layers/test_first/own.toml'
try 'echo evil > /layers/plan.toml'
try 'echo evil > /layers/group.toml'
try 'echo evil > /layers/config/metadata.toml'
try 'ln /layers/test_first/own/file /layers/test_second/own/linked && echo evil > /layers/test_second/own/linked'
try 'echo evil > /platform/env/EVIL'
try 'echo evil > /cnb/buildpacks/evil'
try 'echo evil > /cnb/lifecycle/evil'
echo all tried`

/** Shell script: prints which attacks on other processes succeed, and how many processes it sees (X05, X11, X36, X41). */
export const reachesProcesses = `exec 2>/dev/null
for process in /proc/[0-9]*; do
  pid=\${process#/proc/}
  [ $pid = $$ ] && continue
  kill -0 $pid && echo "signalled $pid"
  head -c 1 $process/environ | grep -q . && echo "environment $pid"
  (: >> $process/mem) && echo "memory $pid"
  for fd in 0 1 2 3 4 5 6 7; do (: <> $process/fd/$fd) && echo "descriptor $fd of $pid"; done
done
echo "$(ls -d /proc/[0-9]* | wc -l) were there"`
