import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createGunzip } from 'node:zlib'
import { BaleError } from '../../errors.ts'
import { wrapErrno } from '../../files/wrap-errno.ts'
import { unpackTar } from '../../layers/tree/unpack.ts'
import { ownDirectory } from '../../files/own-directory.ts'
import { unpackedLayersDir } from './unpacked-layers.ts'

/**
 * Unpacks a .tgz or .tar of a buildpack's directory into the cache, once for each content. If the archive has a single directory at the
 * top, as archives of git hosts do, that directory is used.
 * @returns the directory with buildpack.toml
 */
export async function unpackArchive(path: string, cacheDir: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  let first: Buffer | undefined
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    signal.throwIfAborted()
    first ??= chunk
    hash.update(chunk)
  }
  await ownDirectory(cacheDir, 'XDG_CACHE_HOME')
  const base = join(cacheDir, unpackedLayersDir)
  await wrapErrno(base, () => mkdir(base, { recursive: true, mode: 0o700 }))
  const dir = join(base, hash.digest('hex'))
  if (!(await exists(dir))) {
    const bytes = createReadStream(path)
    const isGzip = first?.[0] === 0x1f && first[1] === 0x8b
    const tar = isGzip ? bytes.pipe(createGunzip()) : bytes
    bytes.on('error', error => tar.destroy(error))
    await unpackTar(tar as AsyncIterable<Uint8Array>, dir, { signal }).catch(async (error: unknown) => {
      if (await exists(dir)) return // another process was first
      if (error instanceof BaleError && error.code !== 'filesystem')
        throw new BaleError('input', `the archive cannot be read: ${error.message}`, { where: path, cause: error })
      throw error
    })
  }
  if (await exists(join(dir, 'buildpack.toml'))) return dir
  const [only, ...more] = await readdir(dir)
  return only !== undefined && more.length === 0 ? join(dir, only) : dir
}

const exists = async (path: string): Promise<boolean> => (await stat(path).catch(() => undefined)) !== undefined
