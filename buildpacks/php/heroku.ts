import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type App, type BuildContext, declaredStart } from '../sdk/index.ts'
import { herokuStart } from './web.ts'

/** Commands that start this buildpack's web server. */
const ours = /\bserve-php\b/

/** Whether this buildpack's server serves the application: the user declares no other start. */
export async function wantsServer(app: App, env: Readonly<Record<string, string>>): Promise<boolean> {
  const declared = await declaredStart(app, env)
  return declared === undefined || ours.test(declared.command) || herokuStart.test(declared.command)
}

/** Whether a Procfile for Heroku starts Apache. */
export async function startsApache(app: App, env: Readonly<Record<string, string>>): Promise<boolean> {
  const command = (await declaredStart(app, env))?.command ?? ''
  return herokuStart.test(command) && command.includes('heroku-php-apache2')
}

/**
 * Provides the programs that a Heroku Procfile starts. On Heroku packages provide them; here they start this buildpack's server. The
 * Procfile's directory argument is already known.
 */
export async function provideHerokuPrograms({ app, env, log }: BuildContext): Promise<void> {
  const command = (await declaredStart(app, env))?.command ?? ''
  const words = herokuStart.exec(command)?.[1]
  if (words === undefined) return
  const options = words.match(/(?<=^|\s)-[CFil]\s*\S+/g) ?? []
  if (options.length > 0)
    log.warning(
      `the Procfile's ${options.join(' and ')} is not read`,
      'Settings are in .nginx.conf.d/rules-server.conf (.httpd.conf.d/rules.conf for Apache), .php.fpm.d/pool.conf and .php.ini.d/settings.ini.',
    )
  for (const name of ['apache2', 'nginx']) {
    const file = `vendor/bin/heroku-php-${name}`
    if (await app.has(file)) continue
    await mkdir(dirname(app.at(file)), { recursive: true })
    await writeFile(app.at(file), '#!/bin/sh\n# Starts the server of Bale’s PHP buildpack.\nexec serve-php\n', {
      mode: 0o755,
    })
  }
}
