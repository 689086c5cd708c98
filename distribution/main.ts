// Makes the files by which users install Bale: `node distribution/main.ts [--out DIR] [--arch ARCH]... [--stack DIR] lifecycle|lifecycle-image|builder-image|cli|deb`.
import { createReadStream, mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { findEmulator } from '../lifecycle/processes/emulation.ts'
import { createStack } from '../lifecycle/stacks/create.ts'
import { loadBuilder } from '../lifecycle/platform/builder.ts'
import { renderError } from '../lifecycle/cli/render/error.ts'
import { BaleError } from '../lifecycle/errors.ts'
import { leaseName } from '../lifecycle/files/lease.ts'
import { baleVersion, lifecycleVersion } from '../lifecycle/version.ts'
import { assembleLifecycle } from './lifecycle.ts'
import { builderImage } from './builder-image.ts'
import { bundle } from '../scripts/bundle.mjs'
import { assembleCli, shareWithBuilder } from './cli.ts'
import { cliContents, describeCli } from './cli-package.ts'
import { packageFile, writeDebianPackage } from './debian-package.ts'
import { lifecycleImage } from './lifecycle-image.ts'
import { type Arch, archs, machineFor } from './machine.ts'
import type { ImagePlan } from '../lifecycle/platform/builders/image-plan.ts'
import { writeLayout, writeOciArchive } from './oci-archive.ts'
import { writeTarball, writeTreeTarball } from './tarball.ts'

const root = resolve(import.meta.dirname, '..')

interface Job {
  /** The directory for results, and for drafts of them. */
  readonly out: string
  readonly archs: readonly Arch[]
  /** The architectures on the command line. */
  readonly named: readonly Arch[]
  /** Makes `linux-<arch>/` if needed, and returns its path. */
  readonly folder: (arch: Arch) => Promise<string>
  /** Makes `bale/`, the program, in a temporary directory, and returns its path. */
  readonly program: (arch: Arch) => Promise<string>
  /** Makes dist/bale, and returns its sources. */
  readonly bundled: () => Promise<readonly string[]>
  /** The name of the run image in the builder; by default the one in builder.toml. */
  readonly runImage: string | undefined
  /** The folder of the builder image's stack, if it differs from the one in builder.toml. */
  readonly stackDir: string | undefined
  /** Whether the builder image contains its run image, so that a build needs no registry for it. */
  readonly withRunImage: boolean
}

/** Makes the files of one kind, and returns their paths. */
type Make = (job: Job) => Promise<string[]>
const products: Record<string, Make> = {
  lifecycle,
  'lifecycle-image': image,
  'builder-image': builder,
  cli,
  deb,
}

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

const ownRunImage = { image: 'bale/run:trixie', mirrors: [] }

/**
 * `builder-image.tar` and `run-image.tar`, for this machine's architecture unless others are named. Debian's packages are
 * configured by running their programs: QEMU runs those of another architecture (lifecycle/processes/emulation.ts).
 */
async function builder(job: Job): Promise<string[]> {
  const { out, runImage } = job
  const own = archs.find(name => machineFor(name).native) as Arch
  const sources = await job.bundled()
  const loaded = await loadBuilder(join(root, 'dist/bale'))
  const named = runImage === undefined ? (loaded.runImage ?? ownRunImage) : { image: runImage, mirrors: [] }
  const files = [join(out, 'builder-image.tar'), join(out, 'run-image.tar')] as const
  const work = join(out, leaseName())
  const [builders, runs]: [ImagePlan[], ImagePlan[]] = [[], []]
  try {
    for (const arch of job.named.length > 0 ? job.named : [own]) {
      const made = await makeBuilder(job, { arch, work: join(work, arch), loaded, named, sources })
      builders.push(made.builder)
      runs.push(made.run)
    }
    await writeOciArchive(files[0], baleVersion, builders)
    await writeOciArchive(files[1], named.image, runs)
    return [...files]
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

interface BuilderJob {
  readonly arch: Arch
  readonly work: string
  readonly loaded: Awaited<ReturnType<typeof loadBuilder>>
  readonly named: { readonly image: string; readonly mirrors: readonly string[] }
  readonly sources: readonly string[]
}

async function makeBuilder(
  { folder, withRunImage, stackDir }: Job,
  { arch, work, loaded, named, sources }: BuilderJob,
) {
  const { signal } = new AbortController()
  const stack = await createStack({
    stackDir: stackDir ?? loaded.stackDir ?? '',
    outDir: work,
    arch,
    emulator: machineFor(arch).native ? undefined : await findEmulator(arch),
    environment: process.env,
    signal,
  })
  const packages = {
    kind: 'source' as const,
    createdBy: 'Debian packages',
    tar: () => createReadStream(stack.run.tar),
  }
  const run: ImagePlan = { layers: [packages], config: () => stack.run.config }
  const cli = join(work, 'bale')
  assembleCli({ arch, root, bundle: join(root, 'dist/bale'), sources }, cli, '../lifecycle')
  shareWithBuilder(cli, { builder: loaded, runImage: named, config: stack.build.config })
  if (withRunImage) await writeLayout(join(cli, 'run-image'), run)
  const parts = { folder: await folder(arch), cli, builder: loaded, base: stack.build, runImage: named }
  return { builder: builderImage(parts), run }
}

/** `bale-linux-<arch>.tgz`: the folder `bale/`, to unpack or mount in any image. */
async function cli({ out, archs, program }: Job): Promise<string[]> {
  const files: string[] = []
  for (const arch of archs) {
    const file = join(out, `bale-linux-${arch}.tgz`)
    await writeTreeTarball(await program(arch), 'bale', file)
    files.push(file)
  }
  return files
}

/** `bale_<version>_<arch>.deb`: the same in /usr/lib, with completion scripts and man pages. */
async function deb({ out, archs, program }: Job): Promise<string[]> {
  const files: string[] = []
  for (const arch of archs) {
    const description = describeCli(arch)
    const file = join(out, packageFile(description))
    await writeDebianPackage(description, cliContents(join(await program(arch), 'bale'), root), file)
    files.push(file)
  }
  return files
}

/** Makes `linux-<arch>/`, and replaces the old one when the new one is complete. */
async function assemble(out: string, arch: Arch): Promise<string> {
  const draft = join(out, leaseName())
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
  const { products: wanted, out, archs: chosen, named, ...of } = parseCommandLine(process.argv.slice(2))
  mkdirSync(out, { recursive: true })
  const work = join(out, leaseName())
  const bundled = once(bundle)
  const folder = onceEach((arch: Arch) => assemble(out, arch))
  const program = onceEach(async (arch: Arch) => {
    const dir = join(work, arch)
    assembleCli({ arch, root, bundle: join(root, 'dist/bale'), sources: await bundled() }, join(dir, 'bale'))
    return dir
  })
  try {
    for (const make of wanted) {
      for (const file of await make({ out, archs: chosen, named, folder, program, bundled, ...of })) {
        const megabytes = (statSync(file).size / 1e6).toFixed(1)
        console.log(`${relative(process.cwd(), file)}  ${megabytes} MB`)
      }
    }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function onceEach<Key, Value>(make: (key: Key) => Value): (key: Key) => Value {
  const made = new Map<Key, Value>()
  return key => {
    const value = made.has(key) ? (made.get(key) as Value) : make(key)
    made.set(key, value)
    return value
  }
}

function once<Value>(make: () => Value): () => Value {
  const made = onceEach(make)
  return () => made(undefined)
}

function parseCommandLine(args: string[]) {
  const text = { type: 'string' } as const
  const options = {
    out: text,
    'run-image': text,
    stack: text,
    'without-run-image': { type: 'boolean' },
    arch: { ...text, multiple: true },
  } as const
  try {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
    if (positionals.length === 0) throw new Error('no target is given')
    if (values.stack !== undefined && positionals.some(name => name !== 'builder-image'))
      throw new Error('--stack is only for builder-image')
    if (values.stack !== undefined && values['run-image'] === undefined)
      throw new Error('--stack needs --run-image: the name by which platforms find its run image')
    const named = values.arch?.map(name => oneOf(archs, name)) ?? []
    return {
      products: positionals.map(name => oneOf(Object.keys(products), name)).map(name => products[name] as Make),
      out: resolve(values.out ?? join(root, 'dist')),
      archs: named.length > 0 ? named : archs,
      named,
      withRunImage: values['without-run-image'] !== true,
      runImage: values['run-image'],
      stackDir: values.stack === undefined ? undefined : resolve(values.stack),
    }
  } catch (cause) {
    if (cause instanceof BaleError) throw cause
    throw new BaleError('usage', (cause as Error).message)
  }
}

function oneOf<Name extends string>(names: readonly Name[], given: string): Name {
  const found = names.find(name => name === given)
  if (found !== undefined) return found
  throw new BaleError('usage', `there is no ${JSON.stringify(given)}`, { fix: `use one of ${names.join(', ')}` })
}

main().catch((error: unknown) => {
  process.stderr.write(renderError(error, { color: false, verbose: true }))
  process.exitCode = 1
})
