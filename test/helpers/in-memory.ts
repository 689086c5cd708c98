import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'

const memory = '/dev/shm'
const prefix = 'bale-tests-'
/** A run takes a minute or two. */
const longOver = 3_600_000

/**
 * A globalSetup of vitest. Tests make and sync thousands of small trees, which takes half the time in memory, if there is room.
 * The trees are in one directory, which the run deletes at its end. A later run deletes the directory of a killed one.
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

/** Ignores errors: the directory may belong to another user, or a test may still write to it. */
function remove(dir: string): void {
  try {
    rmSync(dir, { recursive: true, force: true, maxRetries: 3 })
  } catch {
    // A directory that stays takes only a few megabytes.
  }
}
