import { createReadStream } from 'node:fs'
import { mkdir, realpath, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Readable, pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { BaleError, isErrno } from '../errors.ts'
import { errnoMessage } from '../files/wrap-errno.ts'
import { withoutPasswordsOfUrls } from '../image/reference.ts'
import { unpackTar } from '../layers/tree/unpack.ts'
import { unpackZip } from '../layers/tree/unpack-zip.ts'
import { discard, runCommand } from '../stacks/run-command.ts'
import type { Env } from '../stores/settings.ts'

export interface ContextOptions {
  /** An existing directory for the fetched source. */
  readonly workDir: string
  /** PATH, proxies, and GIT_USERNAME with GIT_PASSWORD, or GIT_TOKEN. */
  readonly environment: Env
  /** For `tar://stdin`. */
  readonly stdin: Readable
  readonly signal: AbortSignal
}

/** The scheme of a source that is not a directory, in the forms of kaniko's `--context`. */
const scheme = /^([a-z0-9+]+):\/\//

/**
 * Returns the directory with the source. `dir://DIR` and a plain path name a directory. `tar://FILE`, `tar://stdin` and
 * `zip://FILE` are unpacked. `git://HOST/REPOSITORY[#REF][#COMMIT]` is fetched by https; `git+https://`, `git+http://`,
 * `git+ssh://` and `git+file://` by the protocol that they name.
 * @throws BaleError 'arguments' for another form, or unavailable source
 */
export async function openContext(text: string, options: ContextOptions): Promise<string> {
  const [prefix = '', name] = scheme.exec(text) ?? []
  const rest = text.slice(prefix.length)
  if (name === undefined) return text
  if (name === 'dir') return rest
  if (name === 'tar') return await openTar(rest, options)
  if (name === 'zip') return await openZip(rest, options)
  if (name === 'git' || name.startsWith('git+')) return await openGit(text, options)
  const clients: Record<string, string> = { s3: 'aws s3 cp', gs: 'gcloud storage cp', https: 'azcopy copy, or curl' }
  throw new BaleError('arguments', `Bale does not fetch source from ${name}://`, {
    where: withoutPasswordsOfUrls(text).replace(/\?.*$/, ''),
    fix: `fetch it first (${clients[name] ?? 'with its own client'}), and give the archive as tar://FILE, or tar://stdin`,
  })
}

function openTar(path: string, { workDir, stdin, signal }: ContextOptions): Promise<string> {
  const dir = join(workDir, 'source')
  const origin = { where: `tar://${path}`, recipe: 'tar -cz -C DIR .', signal }
  return unpacked(dir, origin, async () => {
    const bytes = path === 'stdin' ? stdin : createReadStream(path)
    await unpackTar(await unzipped(bytes), dir, { signal })
  })
}

function openZip(path: string, { workDir, signal }: ContextOptions): Promise<string> {
  const dir = join(workDir, 'source')
  const origin = { where: `zip://${path}`, recipe: 'cd DIR && zip -ry ../source.zip .', signal }
  return unpacked(dir, origin, () => unpackZip(path, dir, { signal }))
}

/** @param origin.recipe how to make such an archive */
async function unpacked(
  dir: string,
  { where, recipe, signal }: { readonly where: string; readonly recipe: string; readonly signal: AbortSignal },
  unpack: () => Promise<void>,
): Promise<string> {
  try {
    await unpack()
    return dir
  } catch (cause) {
    signal.throwIfAborted()
    if (isErrno(cause, 'ENOENT', 'EISDIR', 'EACCES'))
      throw new BaleError('arguments', `the archive cannot be read: ${errnoMessage(cause)}`, {
        where,
        fix: 'correct its path',
        cause,
      })
    const message = cause instanceof Error ? cause.message : String(cause)
    throw new BaleError('input', `the archive with the source cannot be used: ${message}`, {
      where,
      fix: `make it with: ${recipe}`,
      cause,
    })
  }
}

/** The tar in a stream, which may be gzipped. */
async function unzipped(bytes: Readable): Promise<AsyncIterable<Uint8Array>> {
  const iterator = (bytes as AsyncIterable<Buffer>)[Symbol.asyncIterator]()
  const take = async (): Promise<Buffer | undefined> => {
    const next = await iterator.next()
    return next.done === true ? undefined : next.value
  }
  let start = Buffer.alloc(0)
  while (start.length < 2) {
    const more = await take()
    if (more === undefined) throw new BaleError('input', 'it is empty')
    start = Buffer.concat([start, more])
  }
  const whole = (async function* () {
    for (let chunk: Buffer | undefined = start; chunk !== undefined; chunk = await take()) yield chunk
  })()
  if (start[0] !== 0x1f || start[1] !== 0x8b) return whole
  const gunzip = createGunzip()
  pipeline(Readable.from(whole), gunzip, () => {}) // the reader of gunzip gets the error
  return gunzip as AsyncIterable<Uint8Array>
}

async function openGit(text: string, { workDir, environment, signal }: ContextOptions): Promise<string> {
  const [address = '', ref = 'HEAD', commit, ...more] = text.split('#')
  const url = address.startsWith('git://') ? `https://${address.slice(6)}` : address.slice('git+'.length)
  const where = withoutPasswordsOfUrls(text)
  if (more.length > 0 || !/^(https?|ssh|file):\/\/[^-]/.test(url) || /^-|[\0-\x20]/.test(ref + (commit ?? '')))
    throw new BaleError('arguments', 'this is not an address of a repository', {
      where,
      fix: 'write git://HOST/REPOSITORY#refs/heads/BRANCH, or git+https://…',
    })
  const dir = join(workDir, 'source')
  await mkdir(dir)
  const { GIT_TOKEN, GIT_USERNAME = GIT_TOKEN && 'token', GIT_PASSWORD = GIT_TOKEN } = environment
  const env = {
    ...environment,
    GIT_TERMINAL_PROMPT: '0', // no user can answer a prompt
    GIT_ALLOW_PROTOCOL: 'https:http:ssh:file',
    GIT_SSH_COMMAND: environment['GIT_SSH_COMMAND'] ?? 'ssh -o BatchMode=yes',
    GIT_USERNAME,
    GIT_PASSWORD,
  }
  // The shell that git starts reads the variables, so no password is in an argument that other processes can see.
  const helper = '!f() { echo "username=$GIT_USERNAME"; echo "password=$GIT_PASSWORD"; }; f'
  const credentials = GIT_PASSWORD === undefined ? [] : ['-c', `credential.helper=${helper}`]
  const git = async (...args: string[]) => {
    const argv = ['git', '-C', dir, '-c', 'core.hooksPath=/dev/null', ...credentials, ...args] as const
    const result = await runCommand({ argv: argv, environment: env, signal }, discard)
    if (result.state === 'failed') throw explainGit(result.tail, where, GIT_PASSWORD !== undefined)
  }
  await git('init', '--quiet')
  await git('fetch', '--quiet', '--depth=1', '--no-tags', url, commit ?? ref)
  await git('checkout', '--quiet', 'FETCH_HEAD')
  return dir
}

function explainGit(tail: readonly string[], where: string, hasPassword: boolean): BaleError {
  const said = withoutPasswordsOfUrls(tail.filter(line => line.trim() !== '').at(-1) ?? 'git failed')
  const all = tail.join('\n')
  const asks = /could not read Username|Authentication failed|terminal prompts disabled|Permission denied/.test(all)
  const fix = asks
    ? hasPassword
      ? 'the repository rejects the user name or the password: correct GIT_USERNAME and GIT_PASSWORD, or GIT_TOKEN'
      : 'the repository asks for a password: set GIT_TOKEN, or GIT_USERNAME and GIT_PASSWORD'
    : 'correct the address, the branch (#refs/heads/NAME) or the commit'
  return new BaleError('arguments', `the repository cannot be fetched: ${said}`, { where, fix })
}

/**
 * A directory of the source. Links of the source, which may be a stranger's, do not lead out of it (X43).
 * @throws BaleError 'arguments' if it is not one
 */
export async function subDirectory(dir: string, sub: string): Promise<string> {
  const real = (path: string) => realpath(path).catch(() => undefined)
  const [top, path] = [await real(dir), await real(resolve(dir, sub))]
  const inside = top !== undefined && path !== undefined && `${path}/`.startsWith(`${top}/`)
  const found = inside ? await stat(path) : undefined
  if (found?.isDirectory() === true && path !== undefined) return path
  throw new BaleError('arguments', `the source has no directory ${JSON.stringify(sub)}`, {
    where: '--sub-path',
    fix: 'give a path inside of the source',
  })
}
