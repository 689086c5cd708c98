import semver from 'semver'
import type { BuildContext, Offer } from '../sdk/index.ts'
import { denoPackage } from './deno/build.ts'
import { bunPackage } from './managers/bun.ts'
import { bundledNpm } from '../npm/bundled.ts'
import { Registry } from '../npm/registry.ts'
import { nodePackage } from './runtime.ts'

/** The versions of runtimes and package managers in npm's registry. */
export async function nodejsOffers(context: BuildContext): Promise<Offer[]> {
  const { arch } = context.target
  const registry = new Registry(context, await bundledNpm(context.buildpack.dir))
  const packages = {
    'Node.js': nodePackage(arch),
    npm: 'npm',
    'Yarn 1': 'yarn',
    Yarn: '@yarnpkg/cli-dist',
    pnpm: 'pnpm',
    Bun: bunPackage(arch),
    Deno: denoPackage(arch),
  }
  const offers = Object.entries(packages).map(async ([name, published]) => ({
    name,
    from: `npm's registry, package ${published}`,
    versions: (await registry.versions(published))
      .filter(version => semver.prerelease(version) === null)
      .toSorted(semver.rcompare),
  }))
  return Promise.all(offers)
}
