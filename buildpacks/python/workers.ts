import type { App } from '../sdk/index.ts'
import { candidateFiles, celeryFiles } from '../sdk/python-starts.ts'
import type { Installed } from './installed.ts'
import { host, port } from './serve.ts'

/** A task queue and its worker: a program of the queue gets the module that defines tasks. */
interface Queue {
  readonly package: string
  /** Matches the definition in such a module. The group is the object's name, if the program needs it. */
  readonly object: RegExp
  command(module: string, object: string): string
}

const celery: Queue = {
  package: 'celery',
  object: /^(\w+)\s*=\s*(?:celery\.)?Celery\(/m,
  command: (module, object) => `celery --app ${module}:${object} worker`,
}
const queues: readonly Queue[] = [
  celery,
  { package: 'dramatiq', object: /^@(?:dramatiq\.)?actor\b/m, command: module => `dramatiq ${module}` },
  {
    package: 'huey',
    object: /^(\w+)\s*=\s*(?:huey\.)?\w*Huey\(/m,
    command: (module, object) => `huey_consumer ${module}.${object}`,
  },
  {
    package: 'arq',
    object: /^class\s+(WorkerSettings)\b/m,
    command: (module, object) => `arq ${module}.${object}`,
  },
]

/** The processes of a task queue, by type: its worker, and Flower, which monitors Celery's workers. Empty if no module defines tasks. */
export async function workerProcesses(
  app: App,
  installed: Installed,
): Promise<{ readonly worker?: string; readonly flower?: string }> {
  for (const queue of queues.filter(({ package: name }) => installed.has(name))) {
    const found = await findTasks(app, queue)
    if (found === undefined) continue
    const { module, object } = found
    const hasFlower = queue === celery && installed.has('flower')
    return {
      worker: queue.command(module, object),
      ...(hasFlower && { flower: `celery --app ${module}:${object} flower --address=${host} --port=${port}` }),
    }
  }
  return {}
}

/** Whether a module only defines tasks for a program of the queue. */
export function hasTasks(source: string, installed: Installed): boolean {
  return queues.some(({ package: name, object }) => installed.has(name) && object.test(source))
}

async function findTasks(app: App, { object }: Queue): Promise<{ module: string; object: string } | undefined> {
  const settings = /DJANGO_SETTINGS_MODULE['"]\s*,\s*['"]([\w.]+)\.settings/.exec(
    (await app.read('manage.py')) ?? '',
  )?.[1]
  const files = [...(settings === undefined ? [] : [`${settings.replaceAll('.', '/')}/celery.py`]), ...celeryFiles]
  for (const file of [...files, ...(await candidateFiles(app)).filter(name => !name.includes('/'))]) {
    const found = object.exec((await app.read(file)) ?? '')
    if (found !== null) return { module: file.replace(/\.py$/, '').replaceAll('/', '.'), object: found[1] ?? '' }
  }
  return undefined
}
