import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { BaleError } from '../errors.ts'
import { errnoMessage } from '../files/wrap-errno.ts'
import type { BuildSecret } from '../phases/secrets.ts'
import type { Env } from '../stores/settings.ts'

/**
 * Reads `id=NAME,src=FILE` and `id=NAME,env=VARIABLE`, Docker's format, with `type=` and `key=` of the binding: by default the id
 * and the file's name.
 * @throws BaleError 'usage' for another format, 'arguments' for a missing value
 */
export async function readSecrets(given: readonly string[] | undefined, env: Env): Promise<BuildSecret[]> {
  return Promise.all((given ?? []).map(text => readSecret(text, env)))
}

async function readSecret(text: string, env: Env): Promise<BuildSecret> {
  const fix = 'write id=NAME,src=FILE or id=NAME,env=VARIABLE'
  const bad = (message: string) => new BaleError('usage', message, { where: '--secret', fix })
  const fields = new Map<string, string>()
  for (const part of text.split(',')) {
    const [, name = '', value = ''] = /^(id|src|source|env|type|key)=(.+)$/.exec(part) ?? []
    // The option may contain the secret itself, so the message does not show it.
    if (name === '') throw bad('a secret has parts id=, src= or env=, type= and key=')
    fields.set(name === 'source' ? 'src' : name, value)
  }
  const [id, src, variable] = [fields.get('id'), fields.get('src'), fields.get('env')]
  if (id === undefined) throw bad('the secret has no id')
  if (src !== undefined && variable !== undefined) throw bad(`the secret ${id} has both a file and a variable`)
  const key = fields.get('key') ?? (src === undefined ? id : basename(src))
  const type = fields.get('type') ?? id
  if (src !== undefined) {
    const value = await readFile(src).catch((cause: unknown) => {
      throw new BaleError('arguments', `the secret ${id} cannot be read: ${errnoMessage(cause)}`, { where: src, cause })
    })
    return { id, type, key, value }
  }
  const name = variable ?? id
  const value = env[name]
  if (value === undefined || value === '')
    throw new BaleError('arguments', `the secret ${id} is missing: the variable ${name} is not set`, {
      where: '--secret',
      fix,
    })
  return { id, type, key, value: Buffer.from(value) }
}
