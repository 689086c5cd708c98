import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type App, type BuildContext, declaredStart } from '../sdk/index.ts'
import { herokuStart } from './web.ts'

/** Commands that start the web server which this buildpack brings. */
const ours = /\bserve-php\b/

/** Whether the application is served by the server of this buildpack: nothing else is declared, or what is declared is that. */
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
 * The programs that a Procfile for Heroku starts, which the packages there bring: here they are the server of this buildpack. The
 * directory that they are told to serve is known from the Procfile.
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
