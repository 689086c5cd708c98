import semver from 'semver'
import { type App, BuildpackError } from '../sdk/index.ts'
import { requestedManager } from './manager-version.ts'
import type { ManagerChoice, ManagerKind } from './manager.ts'
import { berry } from './managers/berry.ts'
import { bun } from './managers/bun.ts'
import { npm } from './managers/npm.ts'
import { pnpm } from './managers/pnpm.ts'
import { yarn } from './managers/yarn.ts'
import type { PackageJson } from './package-json.ts'
import type { Project } from './project.ts'

type Env = Readonly<Record<string, string>>

/** The names of managers in fields of package.json. */
const programs = ['npm', 'yarn', 'pnpm', 'bun'] as const
type Program = (typeof programs)[number]

/** Configuration files that only one manager reads, for an application without a lock file. */
const settings: Readonly<Record<string, ManagerKind>> = {
  '.yarnrc.yml': berry,
  'pnpm-workspace.yaml': pnpm,
  'bunfig.toml': bun,
}

/**
 * The package manager that package.json names, else the one whose lock file exists.
 * @throws BuildpackError if there are lock files of several managers, and nothing decides
 */
export async function chooseManager(env: Env, project: Project): Promise<ManagerChoice> {
  const { root, rootJson } = project
  const { kind, because } = await chooseKind(root, rootJson)
  const lockFile = await root.firstOf(kind.lockFiles)
  const text = lockFile === undefined || lockFile === 'bun.lockb' ? undefined : await root.read(lockFile)
  const lock = text === undefined || text.trim() === '' ? undefined : kind.readLock(text, lockFile ?? '')
  return { kind, lockFile, lock, ...(await requestedManager(env, kind, project, { lockFile, lock })), because }
}

async function chooseKind(root: App, json: PackageJson): Promise<{ kind: ManagerKind; because: string }> {
  const found = await lockFilesOf(root)
  const declared = declaredProgram(json)
  if (declared !== undefined) {
    const kind = await kindOf(declared.program, root, json)
    const others = found.filter(entry => entry.kind.commands[0] !== declared.program)
    if (others.length > 0 && others.length === found.length && declared.isSure) throw foreignLock(declared, others[0])
    if (declared.isSure || others.length < found.length || found.length === 0) return { kind, because: declared.where }
  }
  const [first, ...rest] = found
  if (first === undefined) {
    const file = await root.firstOf(Object.keys(settings))
    return { kind: settings[file ?? ''] ?? npm, because: file ?? 'no lock file' }
  }
  const other = rest.find(({ kind }) => kind !== first.kind)
  if (other === undefined) return { kind: first.kind, because: first.file }
  throw new BuildpackError(
    `${first.kind.name} and ${other.kind.name} both have a lock file: ${first.file} and ${other.file}`,
    {
      where: other.file,
      fix: `remove the unused lock file, or set the package manager in package.json: "packageManager": "${first.kind.commands[0]}@…"`,
    },
  )
}

interface FoundLock {
  readonly file: string
  readonly kind: ManagerKind
}

async function lockFilesOf(root: App): Promise<FoundLock[]> {
  const yarnKind = (await isBerry(root)) ? berry : yarn
  const all = [npm, yarnKind, pnpm, bun].flatMap(kind => kind.lockFiles.map(file => ({ file, kind })))
  const there = await Promise.all(all.map(async lock => ((await root.has(lock.file)) ? [lock] : [])))
  return there.flat()
}

/** Whether the application uses Yarn 2 or newer: its lock file says so, or without a lock file its settings. */
async function isBerry(root: App): Promise<boolean> {
  const lock = (await root.read('yarn.lock')) ?? ''
  return lock.trim() === '' ? root.has('.yarnrc.yml') : /^__metadata:/m.test(lock)
}

interface Declared {
  readonly program: Program
  readonly where: string
  /** False for engines, which may name a manager that the authors merely allow. */
  readonly isSure: boolean
}

function declaredProgram({ packageManager, devManagers, engines }: PackageJson): Declared | undefined {
  if (packageManager !== undefined) {
    const name = /^[^@]+/.exec(packageManager)?.[0]
    const program = programs.find(known => known === name)
    if (program !== undefined) return { program, where: 'package.json packageManager', isSure: true }
    throw new BuildpackError(
      `${JSON.stringify(packageManager.slice(0, 100))} is not a package manager that Bale knows`,
      {
        where: 'package.json packageManager',
        fix: 'write for example "pnpm@10.0.0"; Bale knows npm, yarn, pnpm and bun',
      },
    )
  }
  const dev = programs.find(program => devManagers[program] !== undefined)
  if (dev !== undefined) return { program: dev, where: 'package.json devEngines.packageManager', isSure: true }
  const named = programs.filter(program => engines[program] !== undefined)
  const [only] = named
  return named.length === 1 && only
    ? { program: only, where: `package.json engines.${only}`, isSure: false }
    : undefined
}

async function kindOf(program: Program, root: App, json: PackageJson): Promise<ManagerKind> {
  if (program !== 'yarn') return { npm, pnpm, bun }[program]
  const version = /^yarn@(\d+)/.exec(json.packageManager ?? '')?.[1]
  const range = version ?? json.devManagers['yarn'] ?? json.engines['yarn'] ?? ''
  const lowest = semver.validRange(range) === null ? null : semver.minVersion(range)
  if (await root.has('yarn.lock'))
    return (await isBerry(root)) ? berry : version !== undefined && Number(version) > 1 ? berry : yarn
  if (range !== '' && lowest !== null) return lowest.major >= 2 ? berry : yarn
  return (await isBerry(root)) ? berry : yarn
}

function foreignLock({ program, where }: Declared, other: FoundLock | undefined): BuildpackError {
  return new BuildpackError(
    `the package manager is ${program}, and the only lock file is ${other?.file}, of ${other?.kind.name}`,
    {
      where,
      fix: `run "${program} install" and commit its lock file, or name ${other?.kind.commands[0]} instead`,
    },
  )
}
