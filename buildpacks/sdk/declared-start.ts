import type { App } from './app.ts'
import { firstSetting } from './platform.ts'

/** A program that the user's own words start, and which words. */
export interface DeclaredProgram {
  readonly program: string
  readonly where: string
}

/**
 * The programs that GOOGLE_ENTRYPOINT, a Procfile's web process (else its only one) and app.yaml start, in the
 * order in which they hold; those of the first that there is.
 */
export async function declaredPrograms(
  app: App,
  env: Readonly<Record<string, string>>,
): Promise<readonly DeclaredProgram[]> {
  const entrypoint = firstSetting(env, 'GOOGLE_ENTRYPOINT', 'RAILPACK_START_CMD')
  if (entrypoint) return programsOf(entrypoint.value, entrypoint.name)
  const procfile = /^web[ \t]*:(.*)$/m.exec((await readIfFile(app, 'Procfile')) ?? '')?.[1]
  if (procfile !== undefined) return programsOf(procfile, 'the Procfile')
  const yaml = (await readIfFile(app, 'app.yaml')) ?? ''
  const command = /^entrypoint:[ \t]*(.+)$/m.exec(yaml)?.[1]
  return command === undefined ? [] : programsOf(command.replaceAll(/^['"]|['"]\s*$/g, ''), 'app.yaml')
}

/** App Engine's runtime, without its version: `python` for `runtime: python312`. */
export async function declaredRuntime(app: App): Promise<string | undefined> {
  return /^runtime:[ \t]*['"]?([a-z]+)/m.exec((await readIfFile(app, 'app.yaml')) ?? '')?.[1]
}

// Whatever cannot be read is reported by the buildpack that needs it.
async function readIfFile(app: App, name: string): Promise<string | undefined> {
  return (await app.has(name)) ? await app.read(name).catch(() => undefined) : undefined
}

/**
 * The programs of a shell's command line, the last one first, since what comes before prepares it:
 * `python manage.py migrate && exec gunicorn app:app` gives gunicorn and python.
 */
function programsOf(command: string, where: string): DeclaredProgram[] {
  const programs = command.split(/&&|\|\||[;|&\n]/).flatMap(part => {
    const words = part.trim().split(/\s+/)
    const isPrefix = (word: string) => /^[A-Za-z_]\w*=/.test(word) || ['exec', 'env', 'time', 'nohup'].includes(word)
    return words.find(word => word !== '' && !isPrefix(word)) ?? []
  })
  return programs.toReversed().map(program => ({ program, where }))
}
