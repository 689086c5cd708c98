import type { App } from '../sdk/index.ts'
import { candidateFiles, celeryFiles } from '../sdk/python-starts.ts'
import { host, port } from './serve.ts'
import type { Installed } from './venv.ts'

/** The processes of Celery's, by type: its worker, and Flower, which shows what workers do; none where no module makes its application. */
export async function celeryProcesses(
  app: App,
  installed: Installed,
): Promise<{ readonly worker?: string; readonly flower?: string }> {
  const object = installed.has('celery') ? await findCelery(app) : undefined
  if (object === undefined) return {}
  return {
    worker: `celery --app ${object} worker`,
    ...(installed.has('flower') && { flower: `celery --app ${object} flower --address=${host} --port=${port}` }),
  }
}

async function findCelery(app: App): Promise<string | undefined> {
  const settings = /DJANGO_SETTINGS_MODULE['"]\s*,\s*['"]([\w.]+)\.settings/.exec(
    (await app.read('manage.py')) ?? '',
  )?.[1]
  const files = [...(settings === undefined ? [] : [`${settings.replaceAll('.', '/')}/celery.py`]), ...celeryFiles]
  for (const file of [...files, ...(await candidateFiles(app)).filter(name => !name.includes('/'))]) {
    const object = /^(\w+)\s*=\s*(?:celery\.)?Celery\(/m.exec((await app.read(file)) ?? '')?.[1]
    if (object !== undefined) return `${file.replace(/\.py$/, '').replaceAll('/', '.')}:${object}`
  }
  return undefined
}
