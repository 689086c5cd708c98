import { BaleError } from '../../errors.ts'

/** The place of a remote build: the value of `--on`. */
export interface ClusterPlace {
  /** A context of the kubeconfig; the current one by default. */
  readonly context?: string | undefined
  /** The context's own by default. */
  readonly namespace?: string | undefined
}

const fix = 'write kubernetes, kubernetes:CONTEXT, kubernetes:CONTEXT/NAMESPACE or kubernetes:/NAMESPACE'
/** RFC 1123, "DNS label": the form of a namespace's name. */
const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

/**
 * Reads `kubernetes[:CONTEXT[/NAMESPACE]]`. Names of contexts may have slashes and colons (those of EKS do), so a text that is
 * itself the name of a context refers to that context.
 * @param contexts the names in the kubeconfig, if it has been read
 * @throws BaleError 'usage'
 */
export function parsePlace(text: string, contexts: readonly string[] = []): ClusterPlace {
  const where = '--on'
  const [, rest] = /^kubernetes(?::(.+))?$/s.exec(text) ?? []
  if (!/^kubernetes(:.+)?$/s.test(text))
    throw new BaleError('usage', `${JSON.stringify(text)} is not a place for a build`, { where, fix })
  if (rest === undefined) return {}
  const slash = rest.lastIndexOf('/')
  if (slash < 0 || contexts.includes(rest)) return { context: rest }
  const namespace = rest.slice(slash + 1)
  if (!label.test(namespace))
    throw new BaleError('usage', `${JSON.stringify(namespace)} is not a valid namespace`, { where, fix })
  return { ...(slash > 0 && { context: rest.slice(0, slash) }), namespace }
}
