import { basename, join, resolve } from 'node:path'
import { BaleError } from '../errors.ts'
import { readTrusted } from '../files/read.ts'
import { parseProjectDescriptor } from '../spec/project-descriptor.ts'
import type { GlobalOptions } from './context.ts'

/**
 * Returns the default name of an app: the name in project.toml, or the name of the directory.
 * @throws BaleError 'usage' if that is not a valid image name
 */
export async function appName({ path = '.', descriptor }: GlobalOptions): Promise<string> {
  const dir = resolve(path)
  const file = descriptor ?? join(dir, 'project.toml')
  const content = await readTrusted(file)
  const project = content === undefined ? undefined : parseProjectDescriptor(content, file)
  const name = (project?.name ?? basename(dir)).toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')
  const plain = name.replaceAll(/^-+|-+$/g, '')
  if (plain !== '') return plain
  throw new BaleError('usage', 'the image has no name', { fix: 'give a name: bale build NAME' })
}
