import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { leaseState } from './lease.ts'
import { removeSoon } from './remove.ts'

/**
 * Removes from a directory the entries of dead processes, named `<prefix><leaseName()>`. Entries that cannot be removed stay for
 * the next attempt.
 * @param remove removes one entry
 */
export async function removeStale(dir: string, prefix = '', remove = removeSoon): Promise<void> {
  for (const name of await readdir(dir).catch(() => [])) {
    if (!name.startsWith(prefix) || leaseState(name.slice(prefix.length)) !== 'dead') continue
    await remove(join(dir, name)).catch(() => undefined)
  }
}
