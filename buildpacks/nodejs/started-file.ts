import { join } from 'node:path'
import type { App, Log } from '../sdk/index.ts'

/**
 * A command that ends with one file that runs: `node server.js`, `node dist/main`, `bun run src/index.ts`, `tsx server.ts`. No option can be
 * read in two ways, as a value starts with no `-`: else the time would double with each.
 */
const runsFile =
  /^(?:(?:\w+=\S+|cross-env|exec)\s+)*(?:node|bun|tsx|ts-node)(?:\s+run)?(?:\s+(?:-r|--(?:require|import|loader)|--env-file(?:-if-exists)?)\s+[^\s-]\S*|\s+-[\w-]+(?:=\S+)?)*\s+'?(?:\.\/)?([\w@./-]+)'?$/

const startsNode = /^\s*(?:(?:\w+=\S+|cross-env|exec)\s+)*node\s/

const endings = ['', '.js', '.mjs', '.cjs', '.ts', '/index.js', '/index.ts']

/** The file that a command runs in the end, after what prepares it: `prisma migrate deploy && node dist/main`. */
export async function startedFile(app: App, command: string): Promise<string | undefined> {
  const file = runsFile.exec(command.split('&&').at(-1)?.trim() ?? '')?.[1]
  return file === undefined || file.startsWith('/') ? undefined : resolveFile(app, file)
}

/** A file as an import or a command names it, perhaps without its ending. */
export async function resolveFile(app: App, name: string): Promise<string | undefined> {
  return app.firstOf(endings.map(ending => `${name}${ending}`))
}

/** What Node looks for where a command names a file or a folder. */
const nodeEndings = ['', '.js', '.cjs', '.mjs', '/index.js', '/package.json']

/** The file or folder that a command starts Node with, if the application does not have it: `lib/`. */
export async function missingFile(app: App, command: string): Promise<string | undefined> {
  const file = startsNode.test(command) ? runsFile.exec(command.trim())?.[1] : undefined
  if (file === undefined || file.startsWith('/')) return undefined
  return (await app.firstOf(nodeEndings.map(ending => join(file + ending)))) === undefined ? file : undefined
}

/** The image would end as soon as it starts. */
export async function warnOfMissingFile(app: App, log: Log, command: string): Promise<void> {
  const file = await missingFile(app, command)
  if (file === undefined) return
  log.warning(
    `the start command runs ${file}, which is not there after the build`,
    'Add a script "build" to package.json that makes it, or correct the start command.',
  )
}
