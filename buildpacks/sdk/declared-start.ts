import type { App } from './app.ts'
import { firstSetting } from './platform.ts'

/** A program that the user's own words start, and the place of those words. */
export interface DeclaredProgram {
  readonly program: string
  readonly where: string
}

/** A shell command, and the place that declares it. */
export interface DeclaredCommand {
  readonly command: string
  readonly where: string
}

/**
 * The command of the web process if the user declares one: in GOOGLE_ENTRYPOINT or RAILPACK_START_CMD, then the Procfile, then App
 * Engine's app.yaml. The Procfile buildpack makes the process of it; other buildpacks do not have to look for a start.
 */
export async function declaredStart(
  app: App,
  env: Readonly<Record<string, string>>,
): Promise<DeclaredCommand | undefined> {
  const setting = firstSetting(env, 'GOOGLE_ENTRYPOINT', 'RAILPACK_START_CMD')
  if (setting) return { command: setting.value, where: setting.name }
  const procfile = /^web[ \t]*:(.*)$/m.exec((await readIfFile(app, 'Procfile')) ?? '')?.[1]?.trim()
  if (procfile) return { command: procfile, where: 'the Procfile' }
  const command = yamlText((await readIfFile(app, 'app.yaml')) ?? '', 'entrypoint')
  return command === undefined ? undefined : { command, where: 'app.yaml' }
}

/** The programs of the declared command, the decisive one first. */
export async function declaredPrograms(
  app: App,
  env: Readonly<Record<string, string>>,
): Promise<readonly DeclaredProgram[]> {
  const declared = await declaredStart(app, env)
  return declared === undefined ? [] : programsOf(declared)
}

/** A text at the top level of a YAML document: plain, quoted, or a block of lines, which are joined. */
function yamlText(yaml: string, key: string): string | undefined {
  const [, value = '', block = ''] =
    new RegExp(`^${key}:[ \\t]+(.+?)[ \\t]*$((?:\\n[ \\t]+.*|\\n(?=\\n))*)`, 'm').exec(yaml.replaceAll('\r', '')) ?? []
  if (/^[>|][+-]?$/.test(value)) return block.trim().replaceAll(/\s*\n\s*/g, ' ') || undefined
  const double = /^"(.*)"(?:\s+#.*)?$/.exec(value)?.[1]
  const single = /^'(.*)'(?:\s+#.*)?$/.exec(value)?.[1]
  const plain = value.replace(/(?:^|\s)#.*$/, '').trim()
  return (double?.replaceAll('\\"', '"') ?? single?.replaceAll("''", "'") ?? plain) || undefined
}

/** App Engine's runtime, without its version: `python` for `runtime: python312`. */
export async function declaredRuntime(app: App): Promise<string | undefined> {
  return /^[a-z]+/.exec(yamlText((await readIfFile(app, 'app.yaml')) ?? '', 'runtime') ?? '')?.[0]
}

// The buildpack that needs the file reports an unreadable one.
async function readIfFile(app: App, name: string): Promise<string | undefined> {
  return app.read(name).catch(() => undefined)
}

/**
 * The programs of a shell command line, the last one first, since the earlier ones prepare it: `python manage.py migrate && exec
 * gunicorn app:app` gives gunicorn and python.
 */
function programsOf({ command, where }: DeclaredCommand): DeclaredProgram[] {
  const programs = command.split(/&&|\|\||[;|&\n]/).flatMap(part => {
    const words = part.trim().split(/\s+/)
    const isPrefix = (word: string) => /^[A-Za-z_]\w*=/.test(word) || ['exec', 'env', 'time', 'nohup'].includes(word)
    return words.find(word => word !== '' && !isPrefix(word)) ?? []
  })
  return programs.toReversed().map(program => ({ program, where }))
}
