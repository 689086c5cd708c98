import {
  type App,
  type BuildContext,
  type BuildResult,
  defineBuildpack,
  type DetectContext,
  fail,
  firstSetting,
  pass,
  shellProcess,
} from '../sdk/index.ts'
import { parseProcfile, type ProcfileEntry } from './parse.ts'

/** Processes that the application's author names. It runs last, so that they win over what other buildpacks found. */
export const procfile = defineBuildpack({ detect, build })

async function detect({ app, env }: DetectContext) {
  if (await app.has('Procfile')) return pass('Procfile is there')
  if (firstSetting(env, 'GOOGLE_ENTRYPOINT')) return pass('GOOGLE_ENTRYPOINT is set')
  return fail('no Procfile, and GOOGLE_ENTRYPOINT is not set')
}

async function build({ app, env, log }: BuildContext): Promise<BuildResult> {
  log.heading('Procfile')
  const entries = await findProcesses(app, env)
  for (const { type, command } of entries) log.info(`${type}: ${command}`)
  const processes = entries.map(({ type, command }) =>
    shellProcess(type, command, type === 'web' ? { default: true } : {}),
  )
  return { launch: { processes } }
}

/** GOOGLE_ENTRYPOINT is the web process; the others are the Procfile's. */
async function findProcesses(app: App, env: Readonly<Record<string, string>>): Promise<ProcfileEntry[]> {
  const text = await app.read('Procfile')
  const entries = text === undefined ? [] : parseProcfile(text)
  const entrypoint = firstSetting(env, 'GOOGLE_ENTRYPOINT')
  if (entrypoint === undefined) return entries
  return [{ type: 'web', command: entrypoint.value }, ...entries.filter(({ type }) => type !== 'web')]
}
