import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { BaleError, isErrno } from '../../errors.ts'
import { wrapErrno } from '../../files/wrap-errno.ts'
import type { Platform } from '../../image/manifest.ts'
import { requireBuildpackApi } from '../../spec/api.ts'
import { checkPublishableId, checkPublishableVersion } from '../../spec/ids.ts'
import { formatToml } from '../../spec/toml.ts'

export interface NewBuildpackInput {
  readonly id: string
  readonly api: string
  readonly version: string
  /** The directory to make; named after the id in the working directory by default. */
  readonly path?: string | undefined
  readonly targets: readonly Platform[]
}

const detect = `#!/bin/sh
# Exits with 0 if the buildpack is for the application in the working directory, else with 100.
set -eu
exit 100
`
const build = `#!/bin/sh
# Builds the application in the working directory. Layers go below $CNB_LAYERS_DIR.
set -eu
echo "---> $CNB_BUILDPACK_DIR"
exit 1
`

/**
 * Makes a directory for a new buildpack, with scripts that do nothing yet.
 * @returns its path
 * @throws BaleError 'arguments' if it exists
 */
export async function newBuildpack({ id, api, version, path, targets }: NewBuildpackInput): Promise<string> {
  checkPublishableId(id, 'the id')
  checkPublishableVersion(version, '--version')
  requireBuildpackApi(api, id)
  const dir = resolve(path ?? (id.split('/').at(-1) as string))
  await mkdir(dir).catch((cause: unknown) => {
    if (isErrno(cause, 'EEXIST'))
      throw new BaleError('arguments', 'it exists already', { where: dir, fix: 'name another directory with --path' })
    throw new BaleError('filesystem', `the directory cannot be made: ${(cause as Error).message}`, {
      where: dir,
      cause,
    })
  })
  await wrapErrno(dir, async () => {
    await mkdir(join(dir, 'bin'))
    const document = {
      api,
      buildpack: { id, version },
      targets: targets.map(({ os, architecture, variant }) => ({ os, arch: architecture, variant })),
    }
    await writeFile(join(dir, 'buildpack.toml'), formatToml(document))
    await writeFile(join(dir, 'bin', 'detect'), detect, { mode: 0o755 })
    await writeFile(join(dir, 'bin', 'build'), build, { mode: 0o755 })
  })
  return dir
}
