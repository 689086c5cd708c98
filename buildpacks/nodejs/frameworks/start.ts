import type { App } from '../../sdk/index.ts'
import type { PackageJson } from '../package-json.ts'
import { type Start, startFile } from '../start.ts'
import { builtServer, type Framework, type FrameworkStart, isReplaceable, startServer } from './server.ts'

interface Known {
  readonly framework: Framework | undefined
  /** What the user or package.json says. */
  readonly declared: Start | undefined
  /** What the Procfile's buildpack starts. */
  readonly elsewhere: string | undefined
  readonly json: PackageJson
}

/**
 * How the application starts, once it is built: what the user says, the start script, the framework's server, a file with a usual name.
 * A start script for development comes after the framework's server.
 */
export async function findStart(
  app: App,
  { framework, declared, elsewhere, json }: Known,
): Promise<FrameworkStart | undefined> {
  const isFixed = declared !== undefined && declared.isScript !== true
  const server = framework === undefined || isFixed ? undefined : await builtServer(app, framework)
  if (framework && server && (!declared || isReplaceable(framework, declared.command, server.candidate))) {
    return startServer(app, framework, server, elsewhere === undefined)
  }
  return declared ?? startFile(app, json)
}
