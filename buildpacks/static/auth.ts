import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { BuildContext } from '../sdk/index.ts'

/** Where the names and passwords are that the site asks for. */
export interface Htpasswd {
  readonly why: string
  /** In the application; undefined for a binding, which is there at run time only. */
  readonly file: string | undefined
}

/**
 * A binding of the type `htpasswd`, or Cloud Foundry's Staticfile.auth. A binding's passwords never get into the image: the server
 * reads them where it runs, and does not start without.
 */
export async function findHtpasswd({ app, env, platformDir }: BuildContext): Promise<Htpasswd | undefined> {
  const bindings = env['SERVICE_BINDING_ROOT'] ?? join(platformDir, 'bindings')
  for (const name of (await readdir(bindings).catch(() => [])).toSorted()) {
    const type = await readFile(join(bindings, name, 'type'), 'utf8').catch(() => '')
    if (type.trim() === 'htpasswd') return { why: `the binding ${name}`, file: undefined }
  }
  return (await app.has('Staticfile.auth')) ? { why: 'Staticfile.auth', file: app.at('Staticfile.auth') } : undefined
}
