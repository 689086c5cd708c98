import { type App, BuildpackError } from '../sdk/index.ts'
import type { PackageJson } from './package-json.ts'

/** Lock files, in the order in which they are believed. */
const lockFiles = {
  'npm-shrinkwrap.json': 'npm',
  'package-lock.json': 'npm',
  'yarn.lock': 'yarn',
  'pnpm-lock.yaml': 'pnpm',
  'bun.lock': 'bun',
  'bun.lockb': 'bun',
} as const

/** npm's lock file, if the application has one. `packageManager` wins over what lies about. */
export async function findLockFile(app: App, { packageManager }: PackageJson): Promise<string | undefined> {
  const declared = /^[a-z]+(?=@)/.exec(packageManager ?? '')?.[0]
  if (declared !== undefined && declared !== 'npm') throw unsupported(declared, 'package.json packageManager')
  const names = Object.keys(lockFiles) as (keyof typeof lockFiles)[]
  const found = await app.firstOf(declared === undefined ? names : names.filter(name => lockFiles[name] === declared))
  const manager = lockFiles[found as keyof typeof lockFiles]
  if (found !== undefined && manager !== 'npm') throw unsupported(manager, found)
  return found
}

function unsupported(manager: string, where: string): BuildpackError {
  return new BuildpackError(`the application's packages are managed with ${manager}, and only npm is supported yet`, {
    where,
    fix: `run "npm install --package-lock-only", commit package-lock.json and remove ${where}`,
  })
}
