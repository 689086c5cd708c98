import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError } from '../../errors.ts'
import { errnoMessage } from '../../files/wrap-errno.ts'
import { type BuildSecret, BuildSecrets } from '../../phases/secrets.ts'
import type { Inputs } from './flags.ts'

/** The files of a binding that are not secret values (platform.md, "Bindings"). */
const notSecret = new Set(['type', 'provider'])

/**
 * Reads the bindings in the directory of -secrets, whose values must not appear in messages or images. Kubernetes mounts a Secret
 * as links, beside names that start with two dots.
 * @throws BaleError 'arguments' for an unreadable binding: a secret that was not read cannot be searched for
 */
export async function readSecrets(inputs: Inputs): Promise<BuildSecrets> {
  const dir = inputs.text('secrets')
  if (dir === undefined) return new BuildSecrets([])
  const ids = await namesIn(dir)
  const bindings = await Promise.all(ids.map(id => readBinding(dir, id)))
  return new BuildSecrets(bindings.flat(), `-secrets ${dir}`)
}

async function readBinding(dir: string, id: string): Promise<BuildSecret[]> {
  const keys = await namesIn(join(dir, id))
  return Promise.all(
    keys
      .filter(key => !notSecret.has(key))
      .map(async key => ({ id, type: id, key, value: await orUnreadable(join(dir, id, key), path => readFile(path)) })),
  )
}

async function namesIn(dir: string): Promise<string[]> {
  const names = await orUnreadable(dir, path => readdir(path))
  return names.filter(name => !name.startsWith('..')).sort()
}

async function orUnreadable<T>(path: string, read: (path: string) => Promise<T>): Promise<T> {
  return read(path).catch((cause: unknown) => {
    throw new BaleError('arguments', `a secret cannot be read: ${errnoMessage(cause)}`, {
      where: `-secrets ${path}`,
      fix: 'give a directory of bindings, DIR/NAME/KEY, that this user can read',
      cause,
    })
  })
}
