import { setImmediate } from 'node:timers/promises'
import { type ByteString, toBuffer, toBytes } from './bytes.ts'
import type { Directory } from './directory.ts'
import type { HostPlace } from './entries.ts'
import { naming, openDirectory } from './host.ts'

/**
 * The paths of everything below a directory (files, directories, links and whatever else stands there), relative to it
 * and without it, in byte order of whole paths: `a.txt` before `a/b`. Slices are chosen from this list.
 * @throws BaleError 'filesystem' naming a directory that cannot be read
 */
export async function listTree(hostPath: string, options: Pick<HostPlace, 'within'> = {}): Promise<Buffer[]> {
  const found: ByteString[] = []
  const root = openDirectory({ hostPath, ...options })
  try {
    for (const _directory of walk(root, '', toBytes(hostPath), found)) await setImmediate()
  } finally {
    root.close()
  }
  return found.sort((a, b) => (a < b ? -1 : 1)).map(toBuffer)
}

function* walk(directory: Directory, prefix: ByteString, host: ByteString, found: ByteString[]): Generator<void> {
  for (const { name, kind } of naming(host, () => directory.list())) {
    found.push(prefix + name)
    if (kind !== 'directory') continue
    const inner = naming(`${host}/${name}`, () => directory.enter(name))
    try {
      yield* walk(inner, `${prefix}${name}/`, `${host}/${name}`, found)
    } finally {
      inner.close()
    }
  }
  yield
}
