import { BuildpackError } from '../sdk/index.ts'
import type { ManagerChoice } from './manager.ts'
import type { PackageJson } from './package-json.ts'
import type { Project } from './project.ts'

/**
 * Checks before any download that the lock file matches package.json.
 * @throws BuildpackError if a package.json requires a package that the lock file does not have
 */
export async function checkLockFile({ root, rootJson, members }: Project, choice: ManagerChoice): Promise<void> {
  const { lock, lockFile, kind } = choice
  if (lock === undefined || lockFile === undefined) return
  // These fields override the requirements of a package.json.
  if (/"(overrides|resolutions|pnpm|packageExtensions)"/.test(rootJson.installFields)) return
  // Yarn 1 and npm link packages of the workspace for any range.
  const own = new Set(members.map(({ json }) => json.name))
  for (const { dir, json } of [{ dir: '.', json: rootJson }, ...members]) {
    const missing = firstMissing(json, (name, range) => own.has(name) || lock.knows(dir, name, range))
    if (missing === undefined) continue
    const file = dir === '.' ? 'package.json' : `${dir}/package.json`
    const line = lineOf((await root.read(file)) ?? '', missing.field, missing.name)
    throw new BuildpackError(
      `${lockFile} does not have ${missing.name} ${JSON.stringify(missing.range.slice(0, 100))}`,
      {
        where: `${file}${line === undefined ? '' : `:${line}`} ${missing.field}.${missing.name}`,
        fix: `run "${kind.commands[0]} install" and commit ${lockFile}`,
      },
    )
  }
}

function firstMissing({ dependencies }: PackageJson, knows: (name: string, range: string) => boolean) {
  for (const [field, ranges] of Object.entries(dependencies)) {
    // If both tables have a name, the optional dependency counts.
    for (const [name, range] of Object.entries(ranges)) if (!knows(name, range)) return { field, name, range }
  }
  return undefined
}

/** The line of a key in one of package.json's tables, if the table has the usual form. */
function lineOf(text: string, field: string, name: string): number | undefined {
  const start = text.indexOf(`"${field}"`)
  const at = start < 0 ? -1 : text.indexOf(`"${name}"`, start)
  return at < 0 ? undefined : text.slice(0, at).split('\n').length
}
