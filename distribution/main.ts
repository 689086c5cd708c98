// Makes what others install of Bale: `node distribution/main.ts [--out DIR] [--arch ARCH]... lifecycle`.
import { mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { renderError } from '../lifecycle/cli/render/error.ts'
import { BaleError } from '../lifecycle/errors.ts'
import { ownName } from '../lifecycle/files/owner.ts'
import { assembleLifecycle } from './lifecycle.ts'
import { type Arch, archs, machineFor } from './machine.ts'
import { writeTarball } from './tarball.ts'

const root = resolve(import.meta.dirname, '..')

interface Job {
  /** Where results go, and drafts of them. */
  readonly out: string
  readonly archs: readonly Arch[]
}

const products: Record<string, (job: Job) => Promise<string[]>> = { lifecycle }

/** `lifecycle-linux-<arch>.tgz` and, unpacked, `linux-<arch>/`. */
async function lifecycle({ out, archs }: Job): Promise<string[]> {
  const files: string[] = []
  for (const arch of archs) {
    const folder = await assembled(out, arch)
    const file = join(out, `lifecycle-linux-${arch}.tgz`)
    await writeTarball(folder, file)
    files.push(file)
  }
  return files
}

/** Makes `linux-<arch>/`, which is replaced when the new one is whole. */
async function assembled(out: string, arch: Arch): Promise<string> {
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
  const product = products[positionals[0] ?? '']
  const unknown = values.arch?.find(arch => !archs.includes(arch as Arch))
  if (product === undefined || unknown !== undefined)
    throw new BaleError('usage', `there is no ${unknown ?? positionals[0]} to be made`, {
      fix: `use ${Object.keys(products).join(', ')}, and --arch ${archs.join(' or ')}`,
    })
  const out = resolve(values.out ?? join(root, 'dist'))
  mkdirSync(out, { recursive: true })
  const files = await product({ out, archs: (values.arch as Arch[] | undefined) ?? archs })
  for (const file of files) {
    const megabytes = (statSync(file).size / 1e6).toFixed(1)
    console.log(`${relative(process.cwd(), file)}  ${megabytes} MB`)
  }
}

main().catch((error: unknown) => {
  process.stderr.write(renderError(error, { color: false, verbose: process.env['BALE_VERBOSE'] !== undefined }))
  process.exitCode = 1
})
