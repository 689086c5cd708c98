import { join } from 'node:path'
import { type BuildContext, digestOf, type Layer } from '../sdk/index.ts'
import type { DebianArchive } from './archive.ts'
import { debianComponents, keepOnly, unpackPackages } from './unpack.ts'

/** Tables in Debian's nginx, in etc/nginx of its layer. */
export const nginxTables = [
  'mime.types',
  'fastcgi_params',
  'fastcgi.conf',
  'scgi_params',
  'uwsgi_params',
  'proxy_params',
]

/** nginx itself, its table of media types, and the module that serves brotli-compressed files. */
const base = ['nginx', 'nginx-common', 'libnginx-mod-http-brotli-static']

/**
 * Puts Debian's nginx into a layer. The run image has the libraries that it links.
 * @param modules modules of the user's own configuration: `ngx_stream_module` is Debian's libnginx-mod-stream
 */
export async function provideNginx(
  context: BuildContext,
  archive: DebianArchive,
  modules: readonly string[] = [],
): Promise<Layer> {
  const { target, run } = context
  const more = modules.map(name => `libnginx-mod-${name.replaceAll(/^ngx_|_module$/g, '').replaceAll('_', '-')}`)
  const wanted = [...new Set([...base, ...more])]
  // Their further dependencies are for a whole system: network tools, debconf.
  const packages = (await archive.resolve(wanted)).filter(({ name }) => wanted.includes(name))
  const version = packages.find(({ name }) => name === 'nginx')?.version ?? ''
  const distro = `${target.distro?.name ?? 'debian'}-${target.distro?.version ?? '13'}`
  return context.layer('nginx', {
    title: `nginx ${version.replace(/-.*/, '')}`,
    types: { launch: true, cache: true },
    key: { nginx: version, architecture: target.arch, 'Debian packages': digestOf(JSON.stringify(packages)) },
    create: async dir => {
      await unpackPackages(run, await archive.download(packages), dir)
      await keepOnly(dir, ['usr', 'etc', 'var'])
      await keepOnly(join(dir, 'etc'), ['nginx'])
      await keepOnly(join(dir, 'etc/nginx'), nginxTables)
      await keepOnly(join(dir, 'var'), ['lib'])
      await keepOnly(join(dir, 'var/lib'), ['dpkg'])
      await keepOnly(join(dir, 'usr'), ['sbin', 'lib', 'share'])
      await keepOnly(join(dir, 'usr/lib'), ['nginx'])
      await keepOnly(join(dir, 'usr/share'), ['doc'])
    },
    sbom: () => Promise.resolve(debianComponents(packages, distro)),
  })
}
