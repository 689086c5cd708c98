import type { App } from '../sdk/index.ts'

/**
 * A command that ends with one file that runs: `node server.js`, `node dist/main`, `bun run src/index.ts`, `tsx server.ts`. No option can be
 * read in two ways, as a value starts with no `-`: else the time would double with each.
 */
const runsFile =
  /^(?:(?:\w+=\S+|cross-env|exec)\s+)*(?:node|bun|tsx|ts-node)(?:\s+run)?(?:\s+(?:-r|--(?:require|import|loader)|--env-file(?:-if-exists)?)\s+[^\s-]\S*|\s+-[\w-]+(?:=\S+)?)*\s+'?(?:\.\/)?([\w@./-]+)'?$/

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
