import { BaleError } from '../../errors.ts'
import { dockerHub } from '../../image/reference.ts'
import { forgetPassword, storePassword } from '../../stores/credentials/write.ts'
import { checkLogin } from '../../stores/registry/check-login.ts'
import { registryHost } from '../../stores/settings.ts'
import type { CommandContext, GlobalOptions } from '../context.ts'

/** Bytes of a password or token; registries' tokens have some thousand. */
const longestPassword = 64 * 1024

export async function loginCommand(
  context: CommandContext,
  registry: string | undefined,
  options: GlobalOptions,
): Promise<void> {
  const host = hostOf(registry)
  const { username = '' } = options
  const password = await readPassword(context, options)
  await checkLogin(host, { kind: 'password', username, password }, context.settings, context.signal)
  const place = await storePassword(host, { username, password }, helperOptions(context))
  context.print(`Logged in to ${host}; the password is stored in ${place}`)
}

export async function logoutCommand(context: CommandContext, registry: string | undefined): Promise<void> {
  const host = hostOf(registry)
  const had = await forgetPassword(host, helperOptions(context))
  context.print(had ? `Logged out of ${host}` : `No password was stored for ${host}`)
}

const hostOf = (registry: string | undefined): string => (registry === undefined ? dockerHub : registryHost(registry))

function helperOptions({ settings, env, signal }: CommandContext) {
  return { where: settings.dockerConfig, path: env['PATH'] ?? '', environment: env, signal }
}

async function readPassword({ input }: CommandContext, options: GlobalOptions): Promise<string> {
  const { password, passwordStdin } = options
  if ((password === undefined) === (passwordStdin !== true))
    throw new BaleError('usage', 'a login takes the password from one place', {
      fix: 'give either --password-stdin or --password',
    })
  if (password !== undefined) return password
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of input as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    size += chunk.length
    if (size > longestPassword) throw new BaleError('arguments', 'the password on standard input is too long')
  }
  const text = Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '')
  if (text !== '') return text
  throw new BaleError('arguments', 'there is no password on standard input', { where: '--password-stdin' })
}
