import { join } from 'node:path'
import type { App, Log } from '../sdk/index.ts'

/**
 * A command that ends with one file to run: `node server.js`, `node dist/main`, `bun run src/index.ts`, `tsx server.ts`. The match of
 * options is unambiguous, as no value starts with `-`; otherwise the time would double with each option.
 */
const runsFile =
  /^(?:(?:\w+=\S+|cross-env|exec)\s+)*(?:node|bun|tsx|ts-node)(?:\s+run)?(?:\s+(?:-r|--(?:require|import|loader)|--env-file(?:-if-exists)?)\s+[^\s-]\S*|\s+-[\w-]+(?:=\S+)?)*\s+'?(?:\.\/)?([\w@./-]+)'?$/

const startsNode = /^\s*(?:(?:\w+=\S+|cross-env|exec)\s+)*node\s/

const endings = ['', '.js', '.mjs', '.cjs', '.ts', '/index.js', '/index.ts']

/** The file that a command runs last, after its preparations: `prisma migrate deploy && node dist/main`. */
export async function startedFile(app: App, command: string): Promise<string | undefined> {
  const file = runsFile.exec(command.split('&&').at(-1)?.trim() ?? '')?.[1]
  return file === undefined || file.startsWith('/') ? undefined : resolveFile(app, file)
}

/** The file that an import or a command names, perhaps without its extension. */
export async function resolveFile(app: App, name: string): Promise<string | undefined> {
  return app.firstOf(endings.map(ending => `${name}${ending}`))
}

/** The paths that Node tries if a command names a file or a folder. */
const nodeEndings = ['', '.js', '.cjs', '.mjs', '/index.js', '/package.json']

/** The file or folder that a command starts Node with, if the application does not have it: `lib/`. */
export async function missingFile(app: App, command: string): Promise<string | undefined> {
  const file = startsNode.test(command) ? runsFile.exec(command.trim())?.[1] : undefined
  if (file === undefined || file.startsWith('/')) return undefined
  return (await app.firstOf(nodeEndings.map(ending => join(file + ending)))) === undefined ? file : undefined
}

/** Warns of a missing start file: the image would end as soon as it starts. */
export async function warnOfMissingFile(app: App, log: Log, command: string): Promise<void> {
  const file = await missingFile(app, command)
  if (file === undefined) return
  log.warning(
    `the start command runs ${file}, which does not exist after the build`,
    'Add a script "build" to package.json that makes it, or correct the start command.',
  )
}
