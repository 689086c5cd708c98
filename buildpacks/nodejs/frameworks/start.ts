import { isForDevelopment } from '../../sdk/index.ts'
import { nxStart } from '../nx.ts'
import type { Project } from '../project.ts'
import { type Start, startFile } from '../start.ts'
import { builtServer, type Framework, type FrameworkStart, isReplaceable, startServer } from './server.ts'

interface Known {
  readonly framework: Framework | undefined
  /** The start that the user or package.json declares. */
  readonly declared: Start | undefined
  /** The start command of the Procfile buildpack. */
  readonly elsewhere: string | undefined
}

/**
 * Whether a command shows pages to their developer, on its own address and port. The commands of NestJS and AdonisJS instead compile
 * and then start the application itself.
 */
const showsPages = (command: string): boolean => isForDevelopment(command) && !/\b(nest|ace(\.js)?)\s/.test(command)

/**
 * The start of the application after its build: the user's command, the start script, the framework's server, or a file with a usual
 * name. The framework's server precedes a start script for development, or for a missing file. Without that server, a script that shows
 * the pages to their developer does not count.
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
