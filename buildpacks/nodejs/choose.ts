import semver from 'semver'
import { BuildpackError, firstSetting } from '../sdk/index.ts'
import type { ManagerChoice, ManagerKind, ManagerRequest } from './manager.ts'
import { npm } from './managers/npm.ts'
import type { PackageJson } from './package-json.ts'
import type { Project } from './project.ts'

type Env = Readonly<Record<string, string>>

/** Lock files of managers that are refused yet. */
const foreign: Readonly<Record<string, string>> = {
  'yarn.lock': 'yarn',
  'pnpm-lock.yaml': 'pnpm',
  'bun.lock': 'bun',
  'bun.lockb': 'bun',
}

/** npm, unless the application says otherwise. `packageManager` wins over what lies about. */
export async function chooseManager(env: Env, { root, rootJson }: Project): Promise<ManagerChoice> {
  const declared = /^[a-z]+(?=@)/.exec(rootJson.packageManager ?? '')?.[0]
  if (declared !== undefined && declared !== 'npm') throw unsupported(declared, 'package.json packageManager')
  const names = [...npm.lockFiles, ...(declared === undefined ? Object.keys(foreign) : [])]
  const lockFile = await root.firstOf(names)
  const other = foreign[lockFile ?? '']
  if (lockFile !== undefined && other !== undefined) throw unsupported(other, lockFile)
  return { kind: npm, lockFile, request: requestedVersion(env, npm, rootJson), because: lockFile ?? 'package.json' }
}

/** @throws BuildpackError for what is no range of versions */
function requestedVersion(env: Env, kind: ManagerKind, json: PackageJson): ManagerRequest | undefined {
  const [program = ''] = kind.commands
  const name = `BP_${program.toUpperCase()}_VERSION`
  const [, declared, hash] = new RegExp(`^${program}@([^+]+)(?:\\+(.+))?`).exec(json.packageManager ?? '') ?? []
  const requests = [
    { range: firstSetting(env, name)?.value, where: name },
    { range: declared, where: 'package.json packageManager', hash },
    { range: json.devManagers[program], where: 'package.json devEngines.packageManager' },
    { range: json.engines[program], where: `package.json engines.${program}` },
  ]
  for (const { range, ...rest } of requests) {
    if (range === undefined || range === '') continue
    if (semver.validRange(range) !== null) return { range, ...rest }
    throw new BuildpackError(
      `${JSON.stringify(range.slice(0, 100))} is not a version of ${kind.name} or a range of versions`,
      { where: rest.where, fix: 'write for example "11.x"' },
    )
  }
  return undefined
}

function unsupported(manager: string, where: string): BuildpackError {
  return new BuildpackError(`the application's packages are managed with ${manager}, and only npm is supported yet`, {
    where,
    fix: `run "npm install --package-lock-only", commit package-lock.json and remove ${where}`,
  })
}
