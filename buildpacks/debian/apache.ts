import { join } from 'node:path'
import { type BuildContext, digestOf, type Layer } from '../sdk/index.ts'
import type { DebianArchive } from './archive.ts'
import { debianComponents, keepOnly, unpackPackages } from './unpack.ts'

/** The modules that a configuration, or a .htaccess file, may use here. Modules that reach beyond the application are excluded. */
export const apacheModules = [
  ...['mpm_event', 'authn_core', 'authn_file', 'authz_core', 'authz_groupfile', 'authz_host', 'authz_user'],
  ...['access_compat', 'auth_basic', 'alias', 'autoindex', 'deflate', 'dir', 'env', 'expires', 'filter', 'headers'],
  ...['mime', 'negotiation', 'proxy', 'proxy_fcgi', 'reqtimeout', 'rewrite', 'setenvif', 'substitute'],
] as const

/** The server, its table of media types, and linked libraries that a run image may lack. */
const wanted =
  /^(apache2-bin|media-types|libapr1\S*|libaprutil1(?:t64)?|libpcre2-8-0|libexpat1|libuuid1|libcrypt1|zlib1g)$/

/** Puts Debian's Apache into a layer. */
export async function provideApache(context: BuildContext, archive: DebianArchive): Promise<Layer> {
  const { target, run } = context
  // Their further dependencies are for a whole system, or for excluded modules.
  const packages = (await archive.resolve(['apache2-bin', 'media-types'])).filter(({ name }) => wanted.test(name))
  const version = packages.find(({ name }) => name === 'apache2-bin')?.version ?? ''
  const distro = `${target.distro?.name ?? 'debian'}-${target.distro?.version ?? '13'}`
  return context.layer('apache', {
    title: `Apache ${version.replace(/-.*/, '')}`,
    types: { launch: true, cache: true },
    key: { apache: version, architecture: target.arch, 'Debian packages': digestOf(JSON.stringify(packages)) },
    create: async dir => {
      await unpackPackages(run, await archive.download(packages), dir)
      await keepOnly(join(dir, 'etc'), ['mime.types'])
      await keepOnly(
        join(dir, 'usr/lib/apache2/modules'),
        apacheModules.map(name => `mod_${name}.so`),
      )
    },
    sbom: () => Promise.resolve(debianComponents(packages, distro)),
  })
}
