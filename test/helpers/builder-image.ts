import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { root } from './bale.ts'

/**
 * The archive of Bale's builder image: the one of BALE_TEST_BUILDER_IMAGE, which `npm run test:e2e` makes once for all suites, or one
 * that is made in `dir`.
 */
export async function builderImageArchive(dir: string): Promise<string> {
  const { BALE_TEST_BUILDER_IMAGE: made } = process.env
  if (made !== undefined) return made
  const argv = [join(root, 'scripts/dist.mjs'), '--out', dir, 'builder-image']
  await promisify(execFile)(process.execPath, argv, { cwd: root })
  return join(dir, 'builder-image.tar')
}
