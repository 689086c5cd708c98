import {
  type App,
  type BuildContext,
  type BuildResult,
  byDefault,
  declaredStart,
  defineBuildpack,
  type DetectContext,
  fail,
  pass,
  shellProcess,
  weighLanguages,
} from '../sdk/index.ts'
import { parseProcfile, type ProcfileEntry } from './parse.ts'
import { findScript } from './script.ts'

/** Processes that the application's author names. This buildpack runs last, so they override the processes of other buildpacks. */
export const procfile = defineBuildpack({ detect, build })

async function detect({ app, env }: DetectContext) {
  const declared = await declaredStart(app, env)
  if (declared && declared.where !== 'the Procfile') return pass(`${declared.where} has a start command`)
  // An unreadable Procfile becomes an error of the build, which nobody overlooks.
  if (await app.has('Procfile').catch(() => true)) return pass('Procfile is there')
  const script = await findScript(app, env)
  if (script === undefined) return fail('no Procfile, no start command in app.yaml, and GOOGLE_ENTRYPOINT is not set')
  // A language's own buildpack knows better how to start a file in that language.
  const { server } = await weighLanguages(app, env)
  if (server) return fail(`${server.language.name} (${server.because}) rather than ${script.file}`)
  return pass(`${script.file} is there`)
}

async function build(context: BuildContext): Promise<BuildResult> {
  const { app, env, log } = context
  log.heading('Procfile')
  const entries = await findProcesses(app, env)
  for (const { type, command } of entries) log.info(`${type}: ${command}`)
  const web = entries.find(({ type }) => type === 'web')
  if (web && /\$(PORT\b|\{PORT\})/.test(web.command)) await defaultPort(context)
  const processes = entries.map(({ type, command }) =>
    shellProcess(type, command, type === 'web' ? { default: true } : {}),
  )
  return { launch: { processes } }
}

/** A declared start command is the web process; the other processes come from the Procfile. */
async function findProcesses(app: App, env: Readonly<Record<string, string>>): Promise<ProcfileEntry[]> {
  const text = await app.read('Procfile')
  const entries = text === undefined ? [] : parseProcfile(text)
  const declared = await declaredStart(app, env)
  if (declared && declared.where !== 'the Procfile') {
    return [{ type: 'web', command: declared.command }, ...entries.filter(({ type }) => type !== 'web')]
  }
  if (text !== undefined) return entries
  const script = await findScript(app, env)
  return script === undefined ? [] : [{ type: 'web', command: script.command }]
}

/** The platforms that Procfiles are written for set PORT. On other platforms, `--bind :$PORT` would fail without a default. */
async function defaultPort({ layer }: BuildContext): Promise<void> {
  await layer('port', {
    types: { launch: true },
    key: { PORT: '8080' },
    create: () => Promise.resolve({ env: { launch: { PORT: byDefault('8080') } } }),
  })
}
