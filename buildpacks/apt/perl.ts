import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DebianPackage } from '../debian/archive.ts'

/**
 * The run image has no perl-base, though apt believes so (debian/run-image.ts): what needs all of Perl gets its interpreter, which always has the
 * same version.
 */
export function withPerl(packages: readonly DebianPackage[]): readonly DebianPackage[] {
  const perl = packages.find(({ name }) => name === 'perl')
  return perl === undefined ? packages : [...packages, { ...perl, name: 'perl-base' }]
}

/** Lets programs in Perl find it on the PATH: they name it below /usr, where nothing of a layer is. */
export async function findPerlOnPath(layer: string): Promise<void> {
  for (const dir of ['usr/bin', 'usr/sbin', 'usr/games']) {
    for (const entry of await readdir(join(layer, dir), { withFileTypes: true }).catch(() => [])) {
      if (!entry.isFile()) continue
      const path = join(layer, dir, entry.name)
      // Bytes stay what they are.
      const text = await readFile(path, 'latin1')
      if (!/^#! ?\/usr\/bin\/perl[ \n]/.test(text)) continue
      await writeFile(path, text.replace(/^#! ?\/usr\/bin\/perl/, '#!/usr/bin/env -S perl'), 'latin1')
    }
  }
}
