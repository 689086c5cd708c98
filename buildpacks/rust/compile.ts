import { copyFile, mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { type BuildContext, BuildpackError, choosePrograms, digestOf, firstSetting, splitWords } from '../sdk/index.ts'
import type { Cargo } from './cargo.ts'
import type { Manifest } from './manifest.ts'
import type { Crate, RustProgram } from './metadata.ts'
import { type CargoTargets, cargoTargets, folderOf, isForeign } from './targets.ts'

type Env = Readonly<Record<string, string>>

/** Arguments for Cargo from the user. */
export interface CargoArguments {
  /** The enabled features, for every command that needs them. */
  readonly features: readonly string[]
  readonly targets: CargoTargets
  /** The other arguments, for `cargo build`. */
  readonly build: readonly string[]
  /** The folder of the profile, in the target directory. */
  readonly profile: string
}

/**
 * Converts BP_CARGO_INSTALL_ARGS for `cargo build`. Arguments that only `cargo install` has name the place of the installation, which
 * is fixed, so they are dropped.
 */
export async function cargoArguments(context: Pick<BuildContext, 'app' | 'env'>): Promise<CargoArguments> {
  const { env } = context
  const setting = firstSetting(env, 'BP_CARGO_INSTALL_ARGS')
  const words = setting === undefined ? [] : splitWords(setting.value, setting.name)
  const features: string[] = []
  const named: string[] = []
  const build: string[] = []
  let profile = 'release'
  for (let i = 0; i < words.length; i++) {
    const [name = '', attached] = (words[i] ?? '').split(/=(.*)/s)
    const value = () => attached ?? words[++i] ?? ''
    if (['--all-features', '--no-default-features'].includes(name)) features.push(name)
    else if (['--features', '-F'].includes(name)) features.push('--features', value())
    else if (['--target'].includes(name)) named.push(value())
    else if (['--profile'].includes(name)) profile = value()
    else if (['--debug'].includes(name)) profile = 'dev'
    else if (['--path', '--root', '--index', '--registry'].includes(name)) value()
    else if (!['--locked', '--force', '-f', '--no-track', '--release'].includes(name)) build.push(words[i] ?? '')
  }
  build.push(...named.flatMap(target => ['--target', target]))
  return { features, targets: await cargoTargets(context, named), build, profile }
}

/**
 * The programs to build: of the members that the user names, else of Cargo.toml's default-members, else of all members.
 * @throws BuildpackError if there is none
 */
export async function findPrograms(
  context: BuildContext,
  manifest: Manifest,
  crates: readonly Crate[],
): Promise<RustProgram[]> {
  const members = crates.filter(({ isMember }) => isMember)
  const setting = firstSetting(context.env, 'BP_CARGO_WORKSPACE_MEMBERS', 'RAILPACK_CARGO_WORKSPACE')
  const names =
    setting?.value
      .split(',')
      .map(name => name.trim())
      .filter(Boolean) ?? manifest.defaultMembers
  const where = setting?.name ?? 'Cargo.toml workspace.default-members'
  const wanted = names === undefined ? members : names.flatMap(name => membersNamed(members, name, where))
  const all = wanted.flatMap(({ programs }) => programs)
  if (all.length === 0) {
    throw new BuildpackError('there is no program: this is a library, which cannot be started', {
      where: setting?.name ?? 'Cargo.toml',
      fix: 'add src/main.rs or a [[bin]], or name a member that has one with BP_CARGO_WORKSPACE_MEMBERS',
    })
  }
  if (setting) return all
  const root = members.find(({ dir }) => dir === '.')
  return choosePrograms(context, all, { appName: root?.name ?? '', setting: 'BP_CARGO_WORKSPACE_MEMBERS' })
}

/** Members by the crate's name, or by its folder; `crates/*` means all in a folder. */
function membersNamed(members: readonly Crate[], name: string, where: string): Crate[] {
  const path = posix.join(name, '.')
  const found = members.filter(member => member.name === name || posix.matchesGlob(member.dir, path))
  if (found.length > 0) return found
  throw new BuildpackError(`${JSON.stringify(name.slice(0, 100))} is not a member of the workspace`, {
    where,
    fix: `there are ${members.map(member => member.name).join(', ')}`,
  })
}

export interface Compilation {
  readonly cargo: Cargo
  readonly rust: string
  readonly lockText: string
  readonly crates: readonly Crate[]
  readonly programs: readonly RustProgram[]
  readonly args: CargoArguments
  readonly env: Env
}

/**
 * Compiles the programs into `out`. Compiled third-party crates stay in a layer. Those of the application are removed from it, since
 * Cargo compares the times of their files, and since changes of the application then do not change the layer. Build scripts can write
 * to the layer: with another Cargo.lock everything is compiled again, so that nothing outlives the crate that wrote it.
 * @returns the compiled programs: those with required features may be off
 */
export async function compile(context: BuildContext, job: Compilation, out: string): Promise<RustProgram[]> {
  const { log } = context
  const { cargo, args } = job
  const own = await context.ownCommand('build')
  const target = await context.layer('target', {
    title: 'compiled crates',
    types: { cache: true },
    key: {
      Rust: job.rust,
      'Cargo.lock': digestOf(job.lockText),
      arguments: [args.profile, ...args.features, ...args.targets.values].join(' '),
      // Files that another command has left there may look like this one's output.
      ...(own && { [own.name]: digestOf(own.value) }),
    },
    create: async () => {},
  })
  const env = { ...job.env, CARGO_TARGET_DIR: target.path }
  const members = [...new Set(job.programs.map(({ crate }) => crate))]
  const flags = ['--locked', '--profile', args.profile, ...args.features, ...args.build]
  const hasChoice = args.build.some(word => /^--(bin|bins|example|examples)\b/.test(word))
  const command = ['build', ...flags, ...members.flatMap(name => ['--package', name]), ...(hasChoice ? [] : ['--bins'])]
  await log.step(`Running cargo ${command.join(' ')}`, () => cargo.run(command, { env, step: 'build' }))
  const folder = args.profile === 'dev' ? 'debug' : args.profile
  await mkdir(out)
  const built: RustProgram[] = []
  for (const program of job.programs) {
    const file = await findBuilt(context, { target: target.path, folder, targets: args.targets }, program.name)
    if (file === undefined) continue
    await copyFile(file, join(out, program.name))
    built.push(program)
  }
  const missing = job.programs.filter(program => !built.includes(program) && !program.isOptional && !hasChoice)
  if (missing.length > 0 || built.length === 0) {
    throw new BuildpackError(
      `cargo build made no ${(missing.length > 0 ? missing : job.programs).map(p => p.name).join(', ')}`,
    )
  }
  await forget(job, { target: target.path, folder }, env)
  return built
}

/**
 * The program in the profile's folder, which is below the folder of a target if there is one.
 * @throws BuildpackError if Cargo compiled it only for another architecture
 */
async function findBuilt(
  context: BuildContext,
  place: { readonly target: string; readonly folder: string; readonly targets: CargoTargets },
  name: string,
): Promise<string | undefined> {
  const { arch } = context.target
  const all = (await readdir(place.target)).toSorted()
  let foreign: string | undefined
  // A command of the user may compile for targets that nothing else names.
  for (const dir of new Set([...place.targets.values.map(folderOf), '.', ...all])) {
    const path = join(dir, place.folder, name)
    const file = join(place.target, path)
    if ((await stat(file).catch(() => undefined))?.isFile() !== true) continue
    if (!(await isForeign(file, arch))) return file
    foreign ??= path
  }
  if (foreign === undefined) return undefined
  throw new BuildpackError(`cargo build made ${foreign}, which does not run on ${arch}`, {
    where: place.targets.where || 'the build',
    fix: `name a target of ${arch}, or build the image for the architecture of this target with --platform`,
  })
}

/**
 * Removes the application's compiled crates from the target directory. Source files in the build have fixed times, so Cargo would take
 * crates that remain for those of a changed source.
 */
async function forget(
  job: Compilation,
  { target, folder }: { readonly target: string; readonly folder: string },
  env: Env,
): Promise<void> {
  const { cargo, crates, args } = job
  const own = crates.filter(({ isOwn }) => isOwn).flatMap(({ name }) => ['--package', name])
  const targets = args.targets.values
  // `cargo clean` cleans only the targets in its arguments, also if Cargo's configuration names some.
  const flags = ['--offline', '--profile', args.profile, ...targets.flatMap(name => ['--target', name])]
  const cleaned = await cargo.run(['clean', ...flags, ...own], { env, quiet: true }).then(
    () => [folder, ...targets.map(folderOf)],
    (error: unknown): string[] => {
      if (!(error instanceof BuildpackError)) throw error
      // If Cargo cannot remove them, the build removes everything: a compiled crate that remains may be stale.
      return []
    },
  )
  for (const entry of await readdir(target, { withFileTypes: true })) {
    const isCleaned = cleaned.includes(entry.name) || (cleaned.length > 0 && !entry.isDirectory())
    if (!isCleaned) await rm(join(target, entry.name), { recursive: true, force: true })
  }
}
