import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BaleError } from '../errors.ts'

/** The files of Bale besides the running program, which a build mounts or puts into images. */
export interface Distribution {
  readonly root: string
  /** `phase.cjs`, the phase binaries: mounted as /cnb/lifecycle. */
  readonly lifecycleDir: string
  /** The default builder. */
  readonly builder: string
  launcher(arch: string): string
  /** For sandboxes with the host's network: see lifecycle/engines/landlock. */
  readonly landlock: string
  /** The Node that runs phases and buildpacks in the sandbox. */
  readonly node: string
  /** In a container of the builder image: the config of that image (distribution/builder-image.ts). */
  readonly container?: string | undefined
}

/**
 * Finds the distribution from one of its own files, or from a source file of a checkout, whose `dist/bale/` holds it.
 * @throws BaleError when there is none
 */
export function findDistribution(from: string): Distribution {
  for (let dir = dirname(fileURLToPath(from)); ; dir = dirname(dir)) {
    for (const root of [dir, join(dir, 'dist', 'bale')]) {
      if (existsSync(join(root, 'lifecycle', 'phase.cjs'))) return distributionAt(root)
    }
    if (dir === dirname(dir)) break
  }
  throw new BaleError('failed', "Bale's installation is incomplete: it lacks lifecycle/phase.cjs", {
    fix: 'in a checkout run: npm run bundle',
  })
}

function distributionAt(root: string): Distribution {
  const container = join(root, 'container.json')
  // With a C library of its own (distribution/cli.ts), the running program is the loader's.
  const node = join(root, 'nodejs')
  return {
    root,
    lifecycleDir: join(root, 'lifecycle'),
    builder: join(root, 'builder.toml'),
    launcher: arch => join(root, 'launcher', `launcher-linux-${arch}`),
    landlock: join(root, 'lifecycle', 'landlock'),
    node: existsSync(node) ? node : process.execPath,
    container: existsSync(container) ? container : undefined,
  }
}

/** The buildpacks that come with Bale, complete, a directory each. */
export const bundledIn = ({ root }: Distribution): string => join(root, 'buildpacks')
