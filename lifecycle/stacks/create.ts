import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { ensureDir, remove } from 'fs-extra/esm'
import type { Emulator } from '../processes/emulation.ts'
import { findProgram } from '../processes/find-program.ts'
import { ownArchitecture } from '../spec/target.ts'
import { architectureOf } from './image-config.ts'
import { readDescription } from './description.ts'
import { explainWrite, missingProgram } from './explain-failure.ts'
import { createImage, type StackEvent, type StackImage } from './make-image.ts'
import { type Archive, findArchive } from './machine.ts'
import { inOwnUsers } from './own-users.ts'
import { discard, type Environment, runCommand, searchPath } from './run-command.ts'
import { type ImageRules, sourcesPath } from './rules.ts'
import { redactUris } from './sources.ts'
import { makeWorkDir, writePrivate } from './workdir.ts'

export type { StackEvent, StackImage } from './make-image.ts'

export interface StackOptions {
  /** The folder with the `stack.toml`. */
  readonly stackDir: string
  /** The directory for `build.tar` and `run.tar`. It is created if needed, and files of these names are replaced. */
  readonly outDir: string
  /** An OCI architecture, this machine's by default: `amd64`, `arm64`. */
  readonly arch?: string | undefined
  /** The emulator for programs of that architecture, if it is not this machine's. */
  readonly emulator?: Emulator | undefined
  /** The caller's environment: PATH, TMPDIR and the proxy variables are passed on. */
  readonly environment: Environment
  /** The address of a mirror of the Debian archive, instead of the one in this machine's apt sources. */
  readonly mirror?: string | undefined
  /** The same for Debian's security archive. */
  readonly securityMirror?: string | undefined
  /** Where this machine's `/etc/apt` and keyrings are found, for tests: `/` by default. */
  readonly machineRoot?: string | undefined
  readonly signal: AbortSignal
  readonly onEvent?: ((event: StackEvent) => void) | undefined
}

export interface Stack {
  readonly id: string
  readonly build: StackImage
  readonly run: StackImage
}

/**
 * Makes the two base images of a stack from Debian packages with mmdebstrap, as an ordinary user or as root: the bytes
 * of the layers depend on the stack.toml, the versions of the packages and, for an image with apt, the machine's mirror.
 * Writes `build.tar` and `run.tar` to `outDir`. If it fails or is cancelled, earlier files stay.
 */
export async function createStack(options: StackOptions): Promise<Stack> {
  return withJob(options, async ({ job, id, pathOf, partial }) => {
    // Each waits for network and disk alternately: both together take hardly longer than the larger one alone.
    const [build, run] = await bothOrNeither(options.signal, signal => [
      createImage({ ...job, kind: 'build', tar: partial('build'), signal }),
      createImage({ ...job, kind: 'run', tar: partial('run'), signal }),
    ])
    await Promise.all([rename(build.tar, pathOf('build')), rename(run.tar, pathOf('run'))])
    return { id, build: { ...build, tar: pathOf('build') }, run: { ...run, tar: pathOf('run') } }
  })
}

/** Makes only the run image, as `createStack` does: `run.tar` in `outDir`. */
export async function createRunImage(options: StackOptions): Promise<StackImage> {
  return withJob(options, async ({ job, pathOf, partial }) => {
    const run = await createImage({ ...job, kind: 'run', tar: partial('run'), signal: options.signal })
    await rename(run.tar, pathOf('run'))
    return { ...run, tar: pathOf('run') }
  })
}

type ImageKind = 'build' | 'run'

interface Work {
  readonly job: Omit<Parameters<typeof createImage>[0], 'kind' | 'tar' | 'signal'>
  readonly id: string
  readonly pathOf: (kind: ImageKind) => string
  /** The temporary path where an image is made. */
  readonly partial: (kind: ImageKind) => string
}

/** Prepares the making of images: the stack's description, the archive, the programs and a directory. */
async function withJob<T>(options: StackOptions, make: (work: Work) => Promise<T>): Promise<T> {
  const { environment, mirror, securityMirror, emulator, onEvent } = options
  const stack = await readDescription(options.stackDir)
  const arch = options.arch ?? ownArchitecture()
  const { debian: architecture } = architectureOf(arch)
  const tools = await findTools(environment, options.signal)
  const { suite, components } = stack.debian
  const root = options.machineRoot
  const archive = await findArchive({ suite, components, environment, mirror, securityMirror, root })
  for (const message of archive.warnings) onEvent?.({ type: 'warning', message })

  const outDir = resolve(options.outDir)
  await ensureDir(outDir).catch((error: unknown) => {
    throw explainWrite(error, outDir)
  })
  await using work = await makeWorkDir(environment)
  const sourcesFile = await writePrivate(join(work.path, 'debian.sources'), archive.sources ?? '')
  const files = await filesFor(archive)
  const emulation = emulator && { ...emulator, dir: join(work.path, 'binfmt') }
  if (emulation !== undefined) await mkdir(emulation.dir, { mode: 0o755 })
  const asRoot = process.geteuid?.() === 0
  // Root's user namespace is the machine's, where an emulator would stay registered for all programs.
  const isApart = asRoot && emulation?.registration !== undefined
  const job = {
    ...{ stack, arch, architecture, archive, sourcesFile, files, environment, emulation, work: work.path, onEvent },
    prefix: isApart ? inOwnUsers : tools,
    mode: asRoot && !isApart ? ('root' as const) : ('unshare' as const),
  }
  const suffix = `${randomUUID()}.partial`
  const pathOf = (kind: ImageKind) => join(outDir, `${kind}.tar`)
  const partial = (kind: ImageKind) => `${pathOf(kind)}.${suffix}`
  try {
    return await make({ job, id: stack.id, pathOf, partial })
  } catch (error) {
    options.signal.throwIfAborted()
    throw explainWrite(error, outDir)
  } finally {
    await Promise.all((['build', 'run'] as const).map(kind => remove(partial(kind))))
  }
}

/** Runs two tasks. When one fails, stops the other and waits for its end before it throws the first error. */
async function bothOrNeither<A, B>(signal: AbortSignal, start: (signal: AbortSignal) => [Promise<A>, Promise<B>]) {
  const failure = new AbortController()
  const tasks = start(AbortSignal.any([signal, failure.signal]))
  const noted = tasks.map(task => task.catch((error: unknown) => failure.abort(error)))
  await Promise.all(noted)
  failure.signal.throwIfAborted()
  return await Promise.all(tasks)
}

/** Returns the start of the command line, before `mmdebstrap`. Checks first that all required programs exist. */
async function findTools(environment: Environment, signal: AbortSignal): Promise<string[]> {
  const asRoot = process.geteuid?.() === 0
  for (const name of ['mmdebstrap', ...(asRoot ? [] : ['newuidmap', 'newgidmap'])]) {
    if ((await findProgram(name, searchPath(environment))) === undefined) throw missingProgram(name)
  }
  if (!asRoot) return []
  // As root, mmdebstrap really mounts. In its own mount namespace no mount can outlive it, even if it is killed. Where no namespace
  // can be made (a container without CAP_SYS_ADMIN), it cannot mount either and works without.
  const argv = ['unshare', '--mount', '--propagation', 'private', '--'] as const
  const probe = await runCommand(
    { argv: [...argv, 'true'], environment: { ...environment, PATH: searchPath(environment) }, signal },
    discard,
  )
  return probe.state === 'succeeded' ? [...argv] : []
}

/** Makes the build image's apt configuration: it uses the archive as this machine does, without its passwords. */
async function filesFor({ sources, settings, extraKeyrings }: Archive): Promise<ImageRules['files']> {
  // Mirrors of an old archive have dates that apt refuses. The image must accept the same dates as this machine.
  const dates = settings.filter(line => /^Acquire::Check-(Valid-Until|Date) /i.test(line))
  // Descriptions in other languages are most of the download of `apt-get update`.
  const lines = ['Acquire::Languages "none";', ...dates, '']
  const files = new Map<string, string | Buffer>([['etc/apt/apt.conf.d/90archive', lines.join('\n')]])
  if (sources !== undefined) files.set(sourcesPath, redactUris(sources))
  for (const path of extraKeyrings) files.set(path.slice(1), await readFile(path))
  return files
}
