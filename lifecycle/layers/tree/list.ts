import { setImmediate } from 'node:timers/promises'
import { type ByteString, toBuffer, toBytes } from '../../files/byte-string.ts'
import { type HostPlace, openDirectory } from '../../files/safe-open.ts'
import { walk } from './walk.ts'

/**
 * Lists the paths of everything below a directory (files, directories, links and all other types), relative to it and
 * without it, in byte order of full paths: `a.txt` before `a/b`. Slices are chosen from this list.
 * @throws BaleError 'filesystem', which names an unreadable directory
 */
export async function listTree(hostPath: string, options: Pick<HostPlace, 'within'> = {}): Promise<Buffer[]> {
  const found: ByteString[] = []
  const top = openDirectory({ hostPath, ...options })
  try {
    for (const { path, kind } of walk(top, toBytes(hostPath))) {
      found.push(path)
      if (kind === 'directory') await setImmediate() // reading is synchronous: lets other work run
    }
  } finally {
    top.close()
  }
  return found.sort((a, b) => (a < b ? -1 : 1)).map(toBuffer)
}
