import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageUrl, type Component } from '../buildpacks/sdk/sbom/component.ts'
import { type Machine, runTool } from './machine.ts'

/** The libraries that Node is linked with (ld.so(8)), besides the loader. Since glibc 2.34, name lookups need no others. */
const sonames = ['libc.so.6', 'libdl.so.2', 'libgcc_s.so.1', 'libm.so.6', 'libpthread.so.0', 'libstdc++.so.6']

/** The loader and the libraries that a lifecycle contains, as paths on this machine. */
export function libraries({ loader, libraryDir }: Machine): { readonly loader: string; readonly others: string[] } {
  return { loader: join(libraryDir, loader), others: sonames.map(name => join(libraryDir, name)) }
}

/** The Debian packages of the libraries. */
export function libraryComponents({ libraryPackages }: Machine): Component[] {
  const distro = /^ID=(.*)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'debian'
  return libraryPackages.map(name => {
    const fields = runTool('dpkg-query', ['-W', '-f=${Version} ${Architecture}\n', name])
    const [version = '', arch = ''] = (fields.split('\n')[0] as string).split(' ')
    const license = name.startsWith('libc6') ? 'LGPL-2.1-or-later' : 'GPL-3.0-or-later WITH GCC-exception-3.1'
    return { name, version, purl: packageUrl('deb', `${distro}/${name}`, version, { arch }), license }
  })
}
