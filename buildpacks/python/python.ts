import { DebianArchive } from '../debian/archive.ts'
import {
  type BuildContext,
  type BuildResult,
  declaredStart,
  defineBuildpack,
  type DetectContext,
  detectLanguage,
  fail,
  pass,
  rejectSettings,
  shellProcess,
  withTempDir,
} from '../sdk/index.ts'
import { checkProject, findProject, type Project } from './project.ts'
import { readRequirements } from './requirements.ts'
import { providePip, providePython } from './runtime.ts'
import { findStart, noStart } from './start.ts'
import { type Installed, provideVenv, rejectedSettings } from './venv.ts'
import { choosePython } from './version.ts'

/** Python applications, with pip. */
export const python = defineBuildpack({ detect, build })

async function detect({ app, env }: DetectContext) {
  const found = await detectLanguage({ app, env }, 'python')
  if (found.role === 'none') return fail(found.reason)
  const project = await findProject(app, env)
  if (project === undefined && (await declaredStart(app, env)) === undefined)
    return fail('no requirements.txt, and no main.py, app.py, wsgi.py, asgi.py or server.py')
  // A misspelt or a foreign file is this buildpack's to explain: were it to step aside, another might make an image
  // without Python.
  return pass(found.reason, found.plan)
}

async function build(context: BuildContext): Promise<BuildResult> {
  const { app, env, log } = context
  log.heading('Python')
  const project = (await findProject(app, env)) ?? { kind: 'plain', file: '' }
  checkProject(project)
  rejectSettings(env, rejectedSettings, 'packages would be installed elsewhere than in the image')
  const { minor, why } = await choosePython(context)
  log.info(`Python ${minor}: ${why}`)
  const installed = await withTempDir(temp => install(context, project, minor, temp))

  const elsewhere = (await app.has('Procfile')) || (await declaredStart(app, env)) !== undefined
  const start = await findStart(app, env, installed)
  if (start === undefined && !elsewhere) throw noStart(installed)
  if (start === undefined) return {}
  log.info(`Starts with: ${start.command} (${start.why})`)
  if (start.command.includes('runserver')) {
    log.warning('this server of Django is made for development', 'Add gunicorn to requirements.txt.')
  }
  return { launch: { processes: [shellProcess('web', start.command, { default: true })] } }
}

async function install(context: BuildContext, project: Project, minor: string, temp: string): Promise<Installed> {
  const archive = await DebianArchive.open(context, temp)
  const python = await providePython(context, archive, minor)
  if (project.kind !== 'requirements') return new Set()
  const requirements = await readRequirements(context.app, project.files)
  const pip = await providePip(context, archive, python)
  return (await provideVenv(context, python, pip, requirements)).installed
}
