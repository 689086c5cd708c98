import { lstatSync, readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { writeCompletion } from '../lifecycle/cli/completion.ts'
import { writeManPages } from '../lifecycle/cli/man-pages.ts'
import { makeProgram } from '../lifecycle/cli/program.ts'
import { baleVersion } from '../lifecycle/version.ts'
import {
  type PackageContents,
  type PackageDescription,
  type PackageFile,
  compressed,
  document,
} from './debian-package.ts'
import type { Arch } from './machine.ts'

/** The packages of Debian or Ubuntu that `bale build` needs. scripts/setup.mjs says why. */
const depends = ['bubblewrap', 'ca-certificates', 'debian-archive-keyring', 'mmdebstrap', 'uidmap']

export function describeCli(arch: Arch): PackageDescription {
  return {
    name: 'bale',
    version: baleVersion,
    arch,
    depends,
    suggests: ['git', 'qemu-user-static'], // source and dependencies from repositories; images for another platform
    description: [
      'turns source code into container images, without a Dockerfile',
      'Bale builds an image from the source of an application with Cloud Native Buildpacks, which find out the language that it is written in, fetch its dependencies and say how it starts. There is no Dockerfile, no daemon and no need for root: buildpacks run in a sandbox, and the image goes to a registry, a file, a daemon or the local store.',
      'It takes the commands and the builders of pack, and brings buildpacks for Node.js, Python, Go, Rust, Java, Ruby, PHP, Elixir, C and static sites.',
    ],
  }
}

/**
 * The program in /usr/lib/bale, with completion scripts and man pages from the same definitions as its help.
 * @param folder `bale/`, assembled: see cli.ts
 */
export function cliContents(folder: string, root: string): PackageContents {
  const contents = new Map<string, PackageFile>()
  add(contents, folder, '/usr/lib/bale')
  const program = makeProgram(() => Promise.resolve())
  const put = (path: string, text: string): unknown =>
    contents.set(path, { kind: 'bytes', content: Buffer.from(`${text}\n`) })
  contents.set('/usr/bin/bale', { kind: 'symlink', target: '../lib/bale/bale' })
  for (const { file, text } of writeManPages(program)) contents.set(`/usr/share/man/man1/${file}.gz`, compressed(text))
  put('/usr/share/bash-completion/completions/bale', writeCompletion(program, 'bash'))
  put('/usr/share/zsh/vendor-completions/_bale', writeCompletion(program, 'zsh'))
  put('/usr/share/fish/vendor_completions.d/bale.fish', writeCompletion(program, 'fish'))
  contents.set('/usr/share/doc/bale/changelog.gz', compressed(readFileSync(join(root, 'CHANGELOG.md'))))
  // The licences of the whole package, from LICENSES.txt.
  contents.set('/usr/share/doc/bale/copyright', document(join(folder, 'LICENSES.txt')))
  return contents
}

function add(contents: Map<string, PackageFile>, from: string, path: string): void {
  const stat = lstatSync(from)
  if (stat.isSymbolicLink()) contents.set(path, { kind: 'symlink', target: readlinkSync(from) })
  else if (!stat.isDirectory()) contents.set(path, { kind: 'file', from, mode: stat.mode & 0o777 })
  else for (const name of readdirSync(from)) add(contents, join(from, name), `${path}/${name}`)
}
