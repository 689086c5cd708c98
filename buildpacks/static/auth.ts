import { type BuildContext, firstBinding } from '../sdk/index.ts'

/** The place of the names and passwords for the site. */
export interface Htpasswd {
  readonly why: string
  /** A file in the application; undefined for a binding, which exists only at run time. */
  readonly file: string | undefined
}

/**
 * A binding of the type `htpasswd`, or Cloud Foundry's Staticfile.auth. A binding's passwords are never in the image: the server reads
 * them at run time, and does not start without them.
 */
export async function findHtpasswd(context: BuildContext): Promise<Htpasswd | undefined> {
  const binding = await firstBinding(context, 'htpasswd')
  if (binding !== undefined) return { why: `the binding ${binding.name}`, file: undefined }
  const { app } = context
  return (await app.has('Staticfile.auth')) ? { why: 'Staticfile.auth', file: app.at('Staticfile.auth') } : undefined
}
