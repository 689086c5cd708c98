// Makes what others install of Bale: `node distribution/main.ts [--out DIR] [--arch ARCH]... lifecycle|lifecycle-image`.
import { mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { renderError } from '../lifecycle/cli/render/error.ts'
import { BaleError } from '../lifecycle/errors.ts'
import { ownName } from '../lifecycle/files/owner.ts'
import { lifecycleVersion } from '../lifecycle/version.ts'
import { assembleLifecycle } from './lifecycle.ts'
import { lifecycleImage } from './lifecycle-image.ts'
import { type Arch, archs, machineFor } from './machine.ts'
import { type ImagePlan, writeOciArchive } from './oci-archive.ts'
import { writeTarball } from './tarball.ts'

const root = resolve(import.meta.dirname, '..')

interface Job {
  /** Where results go, and drafts of them. */
  readonly out: string
  readonly archs: readonly Arch[]
  /** Where `linux-<arch>/` is, once it is made. */
  readonly folder: (arch: Arch) => Promise<string>
}

/** Each makes its files and gives their paths. */
const products: Record<string, (job: Job) => Promise<string[]>> = { lifecycle, 'lifecycle-image': image }

/** `lifecycle-linux-<arch>.tgz`. */
async function lifecycle({ out, archs, folder }: Job): Promise<string[]> {
  const files: string[] = []
  for (const arch of archs) {
    const file = join(out, `lifecycle-linux-${arch}.tgz`)
    await writeTarball(await folder(arch), file)
    files.push(file)
  }
  return files
}

/** `lifecycle-image.tar`, for all architectures. */
async function image({ out, archs, folder }: Job): Promise<string[]> {
  const file = join(out, 'lifecycle-image.tar')
  const plans: ImagePlan[] = []
  for (const arch of archs) plans.push(lifecycleImage(arch, await folder(arch)))
  await writeOciArchive(file, lifecycleVersion, plans)
  return [file]
}

/** Makes `linux-<arch>/`, which is replaced when the new one is whole. */
async function assemble(out: string, arch: Arch): Promise<string> {
  const draft = join(out, ownName())
  const folder = join(out, `linux-${arch}`)
  try {
    await assembleLifecycle(machineFor(arch), root, draft)
    rmSync(folder, { recursive: true, force: true })
    renameSync(draft, folder)
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
  return folder
}

async function main(): Promise<void> {
  const options = { out: { type: 'string' }, arch: { type: 'string', multiple: true } } as const
  const { values, positionals } = parseArgs({ options, allowPositionals: true })
  const names = [...positionals, ...(values.arch ?? [])]
  const unknown = names.find(name => !Object.hasOwn(products, name) && !archs.includes(name as Arch))
  if (unknown !== undefined || positionals.length === 0)
    throw new BaleError('usage', `what is to be made? ${unknown ?? ''}`.trim(), {
      fix: `name ${Object.keys(products).join(' or ')}, and if only one is wanted --arch ${archs.join(' or --arch ')}`,
    })
  const out = resolve(values.out ?? join(root, 'dist'))
  mkdirSync(out, { recursive: true })
  const made = new Map<Arch, Promise<string>>()
  const folder = (arch: Arch): Promise<string> => {
    const found = made.get(arch) ?? assemble(out, arch)
    made.set(arch, found)
    return found
  }
  for (const name of positionals) {
    const job = { out, archs: (values.arch as Arch[] | undefined) ?? archs, folder }
    for (const file of await (products[name] as (job: Job) => Promise<string[]>)(job)) {
      const megabytes = (statSync(file).size / 1e6).toFixed(1)
      console.log(`${relative(process.cwd(), file)}  ${megabytes} MB`)
    }
  }
}

main().catch((error: unknown) => {
  process.stderr.write(renderError(error, { color: false, verbose: process.env['BALE_VERBOSE'] !== undefined }))
  process.exitCode = 1
})
