import { spawn } from 'node:child_process'
import { isAbsolute } from 'node:path'
import { BaleError, isErrno } from '../../errors.ts'
import type { Credential } from './credential.ts'

export interface HelperOptions {
  /** The config.json that names the helper. */
  readonly where: string
  readonly path: string
  readonly environment?: Readonly<Record<string, string | undefined>>
  readonly helperTimeout?: number
  readonly signal?: AbortSignal
}

const maxOutput = 64 * 1024

/** The only variables that helpers get: for their own credentials, their keyring and their network. */
const helperVariables =
  /^(?:HOME|USER|LOGNAME|LANG|LC_ALL|TMPDIR|DISPLAY|WAYLAND_DISPLAY|DBUS_SESSION_BUS_ADDRESS|XDG_\w+|GNUPGHOME|GPG_TTY|PASSWORD_STORE_\w+|DOCKER_CONFIG|AWS_\w+|GOOGLE_\w+|CLOUDSDK_\w+|AZURE_\w+|IDENTITY_\w+|MSI_\w+|SSL_CERT_\w+|https?_proxy|no_proxy|HTTPS?_PROXY|NO_PROXY)$/

/**
 * Asks `docker-credential-<name> get` (docker/docker-credential-helpers, "Development"). Undefined if it has no credential for
 * this server; any other failure is an error, since anonymous access would only fail later and less clearly. The helper's
 * output is never shown: it may hold the secret.
 */
export async function runHelper(name: string, server: string, options: HelperOptions): Promise<Credential | undefined> {
  const failed = checkedHelper(name, options)
  const { code, output } = await run(`docker-credential-${name}`, 'get', server, options, failed)
  if (code !== 0) {
    // Helpers report a missing credential only in this text. Docker compares the same text.
    if (output.trim() === 'credentials not found in native keychain') return undefined
    throw failed(`failed with exit code ${code}`)
  }
  let value: unknown
  try {
    value = JSON.parse(output)
  } catch {
    throw failed('did not answer with JSON')
  }
  const { Username, Secret } = (value ?? {}) as Record<string, unknown>
  if (typeof Username !== 'string' || typeof Secret !== 'string') throw failed('answered without Username and Secret')
  if (Username === '<token>') return { kind: 'identity-token', token: Secret }
  return { kind: 'password', username: Username, password: Secret }
}

/** Lets a helper store or erase a credential: `docker-credential-<name> store`. @throws BaleError 'credentials' if it fails */
export async function tellHelper(
  name: string,
  action: 'store' | 'erase',
  input: string,
  options: HelperOptions,
): Promise<void> {
  const failed = checkedHelper(name, options)
  const { code } = await run(`docker-credential-${name}`, action, input, options, failed)
  if (code !== 0 && action === 'store') throw failed(`failed with exit code ${code}`)
}

/** Checks a helper's name, and returns a function that makes its errors. @throws BaleError for an invalid name */
function checkedHelper(name: string, { where }: HelperOptions): Failed {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) {
    throw new BaleError('credentials', `${JSON.stringify(name.slice(0, 100))} is not the name of a credential helper`, {
      where,
    })
  }
  const program = `docker-credential-${name}`
  return (why, fix = `run ${program} by hand to see why, or remove it from ${where}`, cause) =>
    new BaleError('credentials', `the credential helper ${program} ${why}`, { where, fix, cause })
}

type Failed = (why: string, fix?: string, cause?: unknown) => BaleError

function run(
  program: string,
  action: 'get' | 'store' | 'erase',
  input: string,
  options: HelperOptions,
  failed: Failed,
): Promise<{ code: number; output: string }> {
  const { path, environment = {}, helperTimeout = 30_000, signal } = options
  // An earlier abort emits no event.
  signal?.throwIfAborted()
  // With a relative directory, a program in the source tree would be found.
  const safePath = path.split(':').filter(isAbsolute).join(':')
  const own = Object.entries(environment).filter(([name, value]) => value !== undefined && helperVariables.test(name))
  return new Promise((resolve, reject) => {
    const child = spawn(program, [action], {
      cwd: '/',
      env: { ...Object.fromEntries(own), PATH: safePath },
      stdio: ['pipe', 'pipe', 'ignore'],
      detached: true, // its own process group, so that `kill` reaches its children, too
    })
    const chunks: Buffer[] = []
    let size = 0
    const settle = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', cancel)
    }
    const end = (error: Error): void => {
      kill(child.pid)
      child.stdout.destroy()
      settle()
      reject(error)
    }
    const cancel = (): void => end(signal?.reason as Error)
    const timer = setTimeout(() => end(failed(`did not answer within ${helperTimeout / 1000} s`)), helperTimeout)
    signal?.addEventListener('abort', cancel)
    child.on('error', cause => {
      const missing = isErrno(cause, 'ENOENT')
      const why = missing ? 'is not in PATH' : `could not be started: ${isErrno(cause) ? cause.code : 'unknown'}`
      end(failed(why, missing ? `install ${program}, or remove it from ${options.where}` : undefined, cause))
    })
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length
      chunks.push(chunk)
      if (size > maxOutput) end(failed(`answered more than ${maxOutput} bytes`))
    })
    child.on('close', (code, signal) => {
      settle()
      if (code === null) reject(failed(`was killed by ${signal}`))
      else resolve({ code, output: Buffer.concat(chunks).toString('utf8') })
    })
    child.stdin.on('error', () => {}) // it may exit without reading its input
    child.stdin.end(input)
  })
}

function kill(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if (!isErrno(error, 'ESRCH', 'EPERM')) throw error // it has exited already
  }
}
