import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryDirectory } from './temporary.ts'

/**
 * Runs a scenario of crash-child.ts on copies of `before`, each time killed one write later, until it survives. `check`
 * examines the files after each run. Returns how often it was killed.
 */
export async function killAtEveryWrite(
  scenario: 'cache' | 'layout' | 'archive',
  before: string,
  check: (dir: string, killed: boolean) => Promise<void>,
): Promise<number> {
  const place = await temporaryDirectory()
  for (let first = 1; ; first += concurrency) {
    const numbers = Array.from({ length: concurrency }, (_, i) => first + i)
    const survived = await Promise.all(
      numbers.map(async number => {
        const dir = join(place, String(number))
        await mkdir(dir)
        await cp(before, dir, { recursive: true, preserveTimestamps: true })
        const killed = await runKilled(scenario, dir, number)
        await check(dir, killed)
        await rm(dir, { recursive: true })
        return !killed
      }),
    )
    const end = survived.indexOf(true)
    if (end >= 0) return first + end - 1
  }
}

const concurrency = 4

async function runKilled(scenario: string, dir: string, number: number): Promise<boolean> {
  const argv = [join(import.meta.dirname, 'crash-child.ts'), scenario, dir, String(number)]
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'inherit', 'inherit'] })
  const [status, signal] = (await once(child, 'exit')) as [number | null, string | null]
  if (signal === 'SIGKILL') return true
  if (status === 0) return false
  throw new Error(`${scenario} killed at write ${number} ended with ${status ?? signal}`)
}
