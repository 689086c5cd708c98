import { type App, type BuildContext, byDefault, digestOf } from '../sdk/index.ts'
import type { PackageJson } from './package-json.ts'

/**
 * The variables that npm gives its scripts (docs.npmjs.com, "scripts", Environment), for a start command that runs without npm:
 * `npm_package_version`. They have a layer of their own, so a new version of the application does not change Node's.
 */
export async function provideScriptVariables({ layer }: BuildContext, app: App, json: PackageJson): Promise<void> {
  const variables = scriptVariables(json, app.at('package.json'), app.path)
  if (Object.keys(variables).length === 0) return
  await layer('script-variables', {
    types: { launch: true },
    key: { variables: digestOf(JSON.stringify(variables)) },
    create: () => {
      const entries = Object.entries(variables).map(([name, value]) => [name, byDefault(value)] as const)
      return Promise.resolve({ env: { launch: Object.fromEntries(entries) } })
    },
  })
}

function scriptVariables(json: PackageJson, file: string, dir: string): Record<string, string> {
  const { name, version, scripts, scriptTables } = json
  const about = { ...(name !== undefined && { name }), ...(version !== undefined && { version }), ...scriptTables }
  const described = flatten('npm_package', about)
  const start = scripts['start']
  if (Object.keys(described).length === 0 && start === undefined) return {}
  return {
    ...described,
    npm_package_json: file,
    INIT_CWD: dir,
    ...(start !== undefined && { npm_lifecycle_event: 'start', npm_lifecycle_script: start }),
  }
}

/** npm's name for a variable: each character that is not a letter, digit or underscore becomes an underscore. */
function flatten(prefix: string, value: unknown): Record<string, string> {
  if (typeof value === 'string') return { [prefix]: value }
  if (typeof value === 'number' || typeof value === 'boolean') return { [prefix]: String(value) }
  if (typeof value !== 'object' || value === null) return {}
  const entries = Object.entries(value).map(([key, inner]) =>
    flatten(`${prefix}_${key.replaceAll(/[^A-Za-z0-9_]/g, '_')}`, inner),
  )
  return Object.assign({}, ...entries) as Record<string, string>
}
