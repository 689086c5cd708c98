import { join } from 'node:path'
import type { DebianArchive } from '../debian/archive.ts'
import { debianComponents, libraryDir, unpackPackages } from '../debian/unpack.ts'
import { type BuildContext, byDefault, firstSetting } from '../sdk/index.ts'

/**
 * Preloads jemalloc at launch: with the C library's own allocator a Ruby server uses twice the memory after a while. An empty
 * LD_PRELOAD at launch disables it, and so does Heroku's JEMALLOC_ENABLED=false in the build.
 */
export async function provideAllocator(context: BuildContext, archive: DebianArchive): Promise<void> {
  const { env, layer, run, target, log } = context
  const off = firstSetting(env, 'BP_JEMALLOC_ENABLED', 'JEMALLOC_ENABLED')
  if (off !== undefined && /^(0|false|no|off)$/i.test(off.value))
    return log.info(`No jemalloc: ${off.name} is ${off.value}`)
  const packages = await archive.resolve(['libjemalloc2'])
  const distro = `${target.distro?.name ?? 'debian'}-${target.distro?.version ?? '13'}`
  await layer('jemalloc', {
    types: { launch: true },
    key: { jemalloc: packages[0]?.version ?? '', architecture: target.arch },
    create: async dir => {
      await unpackPackages(run, await archive.download(packages), dir)
      const library = join(libraryDir(dir, target.arch), 'libjemalloc.so.2')
      return { env: { launch: { LD_PRELOAD: byDefault(library) } } }
    },
    sbom: () => Promise.resolve(debianComponents(packages, distro)),
  })
}
