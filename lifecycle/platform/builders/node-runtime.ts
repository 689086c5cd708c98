import { existsSync, realpathSync } from 'node:fs'
import { basename, join } from 'node:path'
import { BaleError } from '../../errors.ts'
import type { Distribution } from '../distribution.ts'

/** A file of this machine, by its name in a folder. */
export type Files = Readonly<Record<string, string>>

/**
 * Node with its own loader and libraries, for images that have none of them, or others: those that this process runs with.
 * `node` starts it (distribution/dispatcher). All of the files must be in one folder.
 * @throws BaleError if this process does not run on a Node that is linked with its libraries dynamically
 */
export function nodeRuntime({ root, node }: Distribution): Files {
  const dispatcher = join(root, 'runtime', 'dispatcher')
  if (!existsSync(dispatcher))
    throw new BaleError('failed', "Bale's own files are not complete: there is no runtime/dispatcher", {
      where: root,
      fix: 'in a checkout run: npm run bundle',
    })
  return { node: dispatcher, 'start.cjs': join(root, 'runtime', 'start.cjs'), nodejs: node, ...ownLibraries(root) }
}

/** By the names under which programs ask for them (ld.so(8)); of them, only files can be given on. */
function ownLibraries(root: string): Files {
  const report = process.report.getReport() as { readonly sharedObjects?: readonly string[] }
  const paths = (report.sharedObjects ?? []).filter(path => path.startsWith('/') && !path.endsWith('.node'))
  const files = Object.fromEntries(paths.map(path => [basename(path), readable(path, root)]))
  if (Object.keys(files).some(name => /^ld-linux-.*\.so\.\d+$/.test(name))) return files
  throw new BaleError('failed', 'the Node that runs Bale has no loader of glibc, so it cannot run in a builder image', {
    where: process.execPath,
    fix: 'run Bale on a Node from nodejs.org, or use --lifecycle builder',
  })
}

/** A loader that runs may be one that nobody but its owner can read: distribution/cli.ts puts a copy of it beside the dispatcher. */
function readable(path: string, root: string): string {
  const copy = join(root, 'runtime', basename(path))
  return existsSync(copy) ? copy : realpathSync(path)
}
