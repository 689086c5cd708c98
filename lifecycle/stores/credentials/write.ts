import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { BaleError, isErrno } from '../../errors.ts'
import { wrapErrno } from '../../files/wrap-errno.ts'
import { dockerHub } from '../../image/reference.ts'
import { readDockerConfig } from './docker-config.ts'
import { type HelperOptions, tellHelper } from './helper.ts'

/** The key of a registry in config.json: Docker Hub's is a URL of its first API. */
export const authKey = (host: string): string => (host === dockerHub ? 'https://index.docker.io/v1/' : host)

/**
 * Stores a password for a registry as Docker does: with the helper that config.json names, or in the file itself.
 * @returns where it is kept
 * @throws BaleError 'credentials' for a config.json that cannot be read or written, or a helper that fails
 */
export async function storePassword(
  host: string,
  { username, password }: { readonly username: string; readonly password: string },
  options: HelperOptions,
): Promise<string> {
  const { helperFor } = await readDockerConfig(options.where)
  const helper = helperFor(host)
  const key = authKey(host)
  if (helper !== undefined) {
    await tellHelper(helper, 'store', JSON.stringify({ ServerURL: key, Username: username, Secret: password }), options)
    await changeAuths(options.where, auths => ({ ...auths, [key]: {} }))
    return `docker-credential-${helper}`
  }
  const auth = Buffer.from(`${username}:${password}`).toString('base64')
  await changeAuths(options.where, auths => ({ ...auths, [key]: { auth } }))
  return options.where
}

/** Forgets the password for a registry. @returns whether there was one in config.json */
export async function forgetPassword(host: string, options: HelperOptions): Promise<boolean> {
  const { helperFor, auths: known } = await readDockerConfig(options.where)
  const helper = helperFor(host)
  const key = authKey(host)
  if (helper !== undefined) await tellHelper(helper, 'erase', key, options)
  const had = [key, host].some(name => known.has(name))
  if (had) await changeAuths(options.where, ({ [key]: _key, [host]: _host, ...rest }) => rest)
  return had || helper !== undefined
}

/** Replaces the file atomically, readable only for its owner. Other keys stay. */
async function changeAuths(
  file: string,
  change: (auths: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>,
): Promise<void> {
  await wrapErrno(file, async () => {
    const text = await readFile(file, 'utf8').catch((error: unknown) => {
      if (isErrno(error, 'ENOENT')) return ''
      throw error
    })
    // `readDockerConfig` has checked that it is an object.
    const config = (text.trim() === '' ? {} : JSON.parse(text)) as { auths?: Record<string, unknown> }
    const next = { ...config, auths: change(config.auths ?? {}) }
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    await writeFile(`${file}.tmp`, `${JSON.stringify(next, null, '\t')}\n`, { mode: 0o600 })
    await rename(`${file}.tmp`, file)
  }).catch((error: unknown) => {
    if (!(error instanceof BaleError)) throw error
    throw new BaleError('credentials', error.message, {
      where: file,
      fix: 'make it writable for this user',
      cause: error,
    })
  })
}
