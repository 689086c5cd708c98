import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'

const memory = '/dev/shm'
const prefix = 'bale-tests-'
/** A run takes a minute or two. */
const longOver = 3_600_000

/**
 * For vitest, as a globalSetup. Thousands of small trees are made and synced: in memory, where there is room, that takes
 * half the time. They are in one directory, which goes with the run; that of a run that was killed goes with a later one.
 */
export function setup(project: TestProject): (() => void) | undefined {
  if (process.env['TMPDIR'] !== undefined || !hasRoom()) return undefined
  for (const name of readdirSync(memory).filter(name => name.startsWith(prefix))) {
    const { mtimeMs } = statSync(join(memory, name), { throwIfNoEntry: false }) ?? {}
    if (mtimeMs !== undefined && Date.now() - mtimeMs > longOver) remove(join(memory, name))
  }
  const dir = mkdtempSync(join(memory, prefix))
  chmodSync(dir, 0o1777) // some tests are other users
  project.config.env = { ...project.config.env, TMPDIR: dir }
  return () => remove(dir)
}

function hasRoom(): boolean {
  try {
    const mount = readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .find(line => line.split(' ')[1] === memory)
    const { bavail, bsize } = statfsSync(memory)
    return mount !== undefined && !/\b(noexec|ro)\b/.test(mount.split(' ')[3] ?? '') && bavail * bsize > 2 ** 32
  } catch {
    return false
  }
}

/** Another user's, or one that a test still writes to, may stay. */
function remove(dir: string): void {
  try {
    rmSync(dir, { recursive: true, force: true, maxRetries: 3 })
  } catch {
    // It is a few megabytes.
  }
}
