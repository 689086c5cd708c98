import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DebianPackage } from '../debian/archive.ts'

/**
 * Adds the interpreter for packages that need all of Perl. The run image has no perl-base, although apt assumes it
 * (debian/run-image.ts); both always have the same version.
 */
export function withPerl(packages: readonly DebianPackage[]): readonly DebianPackage[] {
  const perl = packages.find(({ name }) => name === 'perl')
  return perl === undefined ? packages : [...packages, { ...perl, name: 'perl-base' }]
}

/** Makes Perl programs find the interpreter on the PATH: they name it below /usr, where a layer cannot put files. */
export async function findPerlOnPath(layer: string): Promise<void> {
  for (const dir of ['usr/bin', 'usr/sbin', 'usr/games']) {
    for (const entry of await readdir(join(layer, dir), { withFileTypes: true }).catch(() => [])) {
      if (!entry.isFile()) continue
      const path = join(layer, dir, entry.name)
      // latin1 keeps all bytes unchanged.
      const text = await readFile(path, 'latin1')
      if (!/^#! ?\/usr\/bin\/perl[ \n]/.test(text)) continue
      await writeFile(path, text.replace(/^#! ?\/usr\/bin\/perl/, '#!/usr/bin/env -S perl'), 'latin1')
    }
  }
}
