import { type Reference, formatReference } from '../image/reference.ts'

/**
 * Formats a reference for both Docker and Podman: `docker.io/library/hello:latest`. Only Docker accepts `hello` for
 * it, and only registries accept `index.docker.io`.
 */
export function dockerName(reference: Reference): string {
  return formatReference(reference).replace(/^index\.docker\.io\//, 'docker.io/')
}
