import { type Reference, formatReference } from '../image/reference.ts'

/**
 * A reference as Docker and Podman understand it alike: `docker.io/library/hello:latest`. Only Docker takes `hello` for
 * that, and only registries know `index.docker.io`.
 */
export function dockerName(reference: Reference): string {
  return formatReference(reference).replace(/^index\.docker\.io\//, 'docker.io/')
}
