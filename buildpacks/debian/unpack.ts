import { lstat, mkdir, readdir, readlink, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { type Component, packageUrl, type Run } from '../sdk/index.ts'
import { linkAlternatives } from './alternatives.ts'
import type { DebianPackage } from './archive.ts'

/** Debian's names of architectures, as in the paths of libraries: `usr/lib/x86_64-linux-gnu`. */
const triplets: Readonly<Record<string, string>> = { amd64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }

/** The directory of libraries in a layer of packages. */
export function libraryDir(layer: string, arch: string): string {
  return join(layer, 'usr/lib', triplets[arch] ?? `${arch}-linux-gnu`)
}

/**
 * Unpacks packages into a layer, without running their scripts, and writes a record of each to the place where scanners look in images
 * without dpkg. It does make the links of `update-alternatives`: libraries such as BLAS are only found through them.
 */
export async function unpackPackages(run: Run, debs: readonly string[], layer: string): Promise<void> {
  const records = join(layer, 'var/lib/dpkg/status.d')
  await mkdir(records, { recursive: true })
  for (const deb of debs) {
    await run(['dpkg-deb', '--extract', deb, layer], { quiet: true, name: `unpacking ${deb}` })
    const { stdout } = await run(['dpkg-deb', '--field', deb], { quiet: true })
    const name = /^Package: (\S+)/m.exec(stdout)?.[1] ?? ''
    await writeFile(join(records, name), stdout.replace(/^(Package: .*\n)/, '$1Status: install ok installed\n'))
  }
  await removeDocuments(layer)
  await linkAlternatives(run, debs, layer)
  await relink(layer, layer)
}

/** Removes documents for people at a desk; licences stay. */
async function removeDocuments(layer: string): Promise<void> {
  for (const name of ['doc-base', 'info', 'lintian', 'locale', 'man', 'menu']) {
    await rm(join(layer, 'usr/share', name), { recursive: true, force: true })
  }
  const doc = join(layer, 'usr/share/doc')
  for (const name of await readdir(doc).catch(() => [])) {
    const entries = (await lstat(join(doc, name))).isDirectory() ? await readdir(join(doc, name)) : []
    for (const entry of entries.filter(entry => entry !== 'copyright')) {
      await rm(join(doc, name, entry), { recursive: true, force: true })
    }
  }
}

/**
 * Packages contain links to absolute paths, such as `/etc/python3.13/sitecustomize.py`. Links to unpacked files now point into the
 * layer.
 */
async function relink(layer: string, dir: string): Promise<void> {
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name)
    if (entry.isDirectory()) await relink(layer, path)
    if (!entry.isSymbolicLink()) continue
    const target = await readlink(path)
    if (!target.startsWith('/')) continue
    const inside = join(layer, target)
    if ((await lstat(inside).catch(() => undefined)) === undefined) continue
    await rm(path)
    await symlink(relative(dirname(path), inside), path)
  }
}

/** Removes everything else from a directory. */
export async function keepOnly(dir: string, names: readonly string[]): Promise<void> {
  for (const name of await readdir(dir)) {
    if (!names.includes(name)) await rm(join(dir, name), { recursive: true, force: true })
  }
}

/** The packages for a software bill of materials. */
export function debianComponents(packages: readonly DebianPackage[], distro: string): Component[] {
  return packages.map(({ name, version, architecture }) => ({
    name,
    version,
    purl: packageUrl('deb', `debian/${name}`, version, { arch: architecture, distro }),
  }))
}
