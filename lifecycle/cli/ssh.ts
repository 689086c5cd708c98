import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { BaleError } from '../errors.ts'
import type { SshKeys } from '../platform/ssh/forward.ts'
import type { Env } from '../stores/settings.ts'

/**
 * Reads `default`, `default=SOCKET` and `default=KEY[,KEY]…`, the format of BuildKit. A build has one set of keys, so there is no other id.
 * @throws BaleError 'usage' for another format, 'arguments' if there is no agent
 */
export async function readSsh(text: string | undefined, env: Env): Promise<SshKeys | undefined> {
  if (text === undefined) return undefined
  const where = '--ssh'
  const [, id, value] = /^([^=]*)(?:=(.*))?$/s.exec(text) ?? []
  const files = value?.split(',') ?? []
  if (id !== 'default' || files.includes(''))
    throw new BaleError('usage', `${JSON.stringify(text)} is not a value of --ssh`, {
      where,
      fix: 'write default for the SSH agent of SSH_AUTH_SOCK, or default=FILE for the private key in a file',
    })
  const [first] = files
  if (first === undefined) {
    const agent = env['SSH_AUTH_SOCK']
    if (agent !== undefined && agent !== '') return { agent }
    throw new BaleError('arguments', 'there is no SSH agent: SSH_AUTH_SOCK is not set', {
      where,
      fix: 'start one and add your key: eval $(ssh-agent); ssh-add; or name the file of a key: --ssh default=FILE',
    })
  }
  if (files.length === 1 && (await isSocket(first))) return { agent: first }
  return { files: files.map(file => resolve(file)) }
}

const isSocket = async (path: string): Promise<boolean> =>
  stat(path).then(
    found => found.isSocket(),
    () => false,
  )
