import type { App, Log } from '../sdk/index.ts'

/** A command that runs one file: `node server.js`, `bun run src/index.ts`. */
const runsFile =
  /^(?:\w+=\S+\s+)*(?:node|bun)(?:\s+run)?(?:\s+--?[\w-]+(?:=\S+)?)*\s+'?(?:\.\/)?([\w./-]+\.[cm]?[jt]sx?)'?$/

/** The number in `app.listen(3000)`, `listen({ port: 3000 })`, and in `serve({ fetch, port: 3000 })`. */
const listens = /\.listen\(\s*(?:\{[^}]*?\bport\s*:\s*)?(\d{2,5})\b|\bserve\(\s*\{[^}]*?\bport\s*:\s*(\d{2,5})\b/

/** Tells of a file that listens on a port of its own, where a platform says in PORT which one it asks. */
export async function warnOfFixedPort(app: App, log: Log, command: string): Promise<void> {
  const file = runsFile.exec(command.trim())?.[1]
  const source = file === undefined ? undefined : await app.read(file)
  // A file that reads PORT has the number as its default.
  if (source === undefined || /\bPORT\b/.test(source)) return
  const found = listens.exec(source)
  const port = found?.[1] ?? found?.[2]
  if (port === undefined) return
  const line = source.slice(0, found?.index).split('\n').length
  log.warning(
    `${file}:${line} listens on port ${port} whatever PORT says, which is 8080 unless the platform sets another`,
    `Write process.env.PORT || ${port} there; or run the image with its port ${port} published.`,
  )
}
