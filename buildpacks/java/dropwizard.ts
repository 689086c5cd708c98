import { cp, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { BuildContext } from '../sdk/index.ts'
import { classesIn, type JavaArchive, withZip } from './archive.ts'

/**
 * The arguments of a Dropwizard application whose main class is its Application: `server` and its configuration, which is copied beside
 * the archive. Without arguments it prints its usage and ends. Empty for other applications.
 */
export async function stageDropwizard(
  { app, log }: BuildContext,
  archive: JavaArchive,
  stage: string,
  main = archive.manifest['Main-Class'] ?? '',
): Promise<readonly string[]> {
  if (!(await isApplication(archive.path, main))) return []
  const names = (await readdir(app.path)).filter(name => /\.ya?ml$/.test(name)).toSorted()
  const settings: string[] = []
  for (const name of names) if (isConfiguration((await app.read(name)) ?? '')) settings.push(name)
  const usual = ['config', archive.component.name].flatMap(name => [`${name}.yml`, `${name}.yaml`])
  const file = usual.find(name => names.includes(name)) ?? (settings.length === 1 ? settings[0] : undefined)
  if (file === undefined) {
    const which = settings.length === 0 ? 'no file' : settings.join(', ')
    log.warning(
      `Dropwizard starts without a configuration: ${which} at the root ${settings.length > 1 ? 'may be' : 'is'} one`,
      'Name it config.yml, or write the command into a Procfile: web: java -jar app.jar server conf/shop.yml',
    )
    return ['server']
  }
  await cp(app.at(file), join(stage, file))
  return ['server', file]
}

/** True if the class has Dropwizard's Application among its constants, as a subclass does. */
async function isApplication(path: string, main: string): Promise<boolean> {
  const file = `${main.replaceAll('.', '/')}.class`
  return withZip(path, async zip => {
    for await (const [name, bytes] of classesIn(zip))
      if (name === file) return /io\/dropwizard\/(core\/)?Application/.test(bytes.toString('latin1'))
    return false
  })
}

/** Dropwizard's own sections (Dropwizard, "Configuration Reference"). */
const isConfiguration = (text: string): boolean => /^(server|logging|metrics|admin|health):/m.test(text)
