import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { wrapErrno } from '../../files/wrap-errno.ts'

/** Opens a directory. Its path in /proc leaves room for the name of a socket: a socket's path has at most 107 bytes (unix(7)). */
export async function shortPathOf(dir: string): Promise<AsyncDisposable & { readonly path: string }> {
  const handle = await wrapErrno(dir, () => open(dir, constants.O_RDONLY | constants.O_DIRECTORY))
  return { path: `/proc/self/fd/${handle.fd}`, [Symbol.asyncDispose]: () => handle.close() }
}
