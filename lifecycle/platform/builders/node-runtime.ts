import { existsSync, realpathSync } from 'node:fs'
import { basename, join } from 'node:path'
import { BaleError } from '../../errors.ts'
import type { Distribution } from '../distribution.ts'

/** A file of this machine, by its name in a folder. */
export type Files = Readonly<Record<string, string>>

/**
 * This process's Node with its own loader and libraries, for images without them or with different ones.
 * `node` starts it (distribution/dispatcher). All of the files must be in one folder.
 * @throws BaleError if this process does not run on a Node that is linked with its libraries dynamically
 */
export function nodeRuntime({ root, node }: Distribution): Files {
  const dispatcher = join(root, 'runtime', 'dispatcher')
  if (!existsSync(dispatcher))
    throw new BaleError('failed', "Bale's installation is incomplete: it lacks runtime/dispatcher", {
      where: root,
      fix: 'in a checkout run: npm run bundle',
    })
  return { node: dispatcher, 'start.cjs': join(root, 'runtime', 'start.cjs'), nodejs: node, ...ownLibraries(root) }
}

/** Lists the loaded libraries by the names that programs look up (ld.so(8)). Only libraries in files can be copied. */
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

/** The running loader may be readable only for its owner. Then its copy beside the dispatcher is used (distribution/cli.ts). */
function readable(path: string, root: string): string {
  const copy = join(root, 'runtime', basename(path))
  return existsSync(copy) ? copy : realpathSync(path)
}
