import { isForDevelopment } from '../../sdk/index.ts'
import { nxStart } from '../nx.ts'
import type { Project } from '../project.ts'
import { type Start, startFile } from '../start.ts'
import { builtServer, type Framework, type FrameworkStart, isReplaceable, startServer } from './server.ts'

interface Known {
  readonly framework: Framework | undefined
  /** What the user or package.json says. */
  readonly declared: Start | undefined
  /** What the Procfile's buildpack starts. */
  readonly elsewhere: string | undefined
}

/**
 * Whether a command serves pages to their developer, on an address and a port of its own. NestJS and AdonisJS compile with theirs, and
 * then start the application itself.
 */
const showsPages = (command: string): boolean => isForDevelopment(command) && !/\b(nest|ace(\.js)?)\s/.test(command)

/**
 * How the application starts, once it is built: what the user says, the start script, the framework's server, a file with a usual name.
 * A start script for development, or for a file that is not there, comes after the framework's server. Without that server a script that
 * shows the pages to their developer is no start.
 */
export async function findStart(
  { app, root, json, nx }: Project,
  { framework, declared, elsewhere }: Known,
): Promise<FrameworkStart | undefined> {
  const isFixed = declared !== undefined && declared.isScript !== true
  const server = framework === undefined || isFixed ? undefined : await builtServer(app, framework)
  if (framework && server && (!declared || (await isReplaceable(app, framework, declared.command, server.candidate)))) {
    return startServer(app, framework, server, elsewhere === undefined)
  }
  const built = nx && (!declared || isForDevelopment(declared.command)) ? await nxStart(root, nx) : undefined
  if (built !== undefined) return built
  const start = declared ?? (await startFile(app, json))
  return framework && start?.isScript && showsPages(start.command) ? undefined : start
}
