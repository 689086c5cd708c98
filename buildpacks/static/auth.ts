import { type BuildContext, firstBinding } from '../sdk/index.ts'

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
export async function findHtpasswd(context: BuildContext): Promise<Htpasswd | undefined> {
  const binding = await firstBinding(context, 'htpasswd')
  if (binding !== undefined) return { why: `the binding ${binding.name}`, file: undefined }
  const { app } = context
  return (await app.has('Staticfile.auth')) ? { why: 'Staticfile.auth', file: app.at('Staticfile.auth') } : undefined
}
