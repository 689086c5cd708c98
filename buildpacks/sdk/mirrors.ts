import { bindingsOf } from './bindings.ts'
import type { Context } from './buildpack.ts'
import { BuildpackError } from './errors.ts'

/** Replaces an address from which a buildpack downloads. */
export interface Mirror {
  /** May contain a password, so messages must not show it. */
  readonly url: string
  /** The variable, or the key of a binding, that names it. */
  readonly where: string
}

/**
 * The mirror for an address: `BP_DEPENDENCY_MIRROR_<HOST>` (dots are _, hyphens are __), a binding of the type dependency-mirror with a
 * key of the host's name, `BP_DEPENDENCY_MIRROR`, or the binding's key `default`. The path stays; `{originalHost}` in a mirror stands
 * for the host. Undefined if there is none.
 * @throws BuildpackError for a mirror that is not a valid address
 */
export async function mirrorOf(
  context: Pick<Context, 'env' | 'platformDir'>,
  address: string,
): Promise<Mirror | undefined> {
  const { hostname, pathname } = new URL(address)
  const found = await findMirror(context, hostname)
  if (found === undefined) return undefined
  const text = found.text.replaceAll('{originalHost}', hostname).replace(/\/+$/, '')
  if (!/^(?:https?|file):$/.test(URL.parse(text)?.protocol ?? ''))
    throw new BuildpackError('is not an address of a mirror', {
      where: found.where,
      fix: 'write for example https://mirror.example.com/{originalHost}',
    })
  return { url: `${text}${pathname === '/' ? '' : pathname}`, where: found.where }
}

async function findMirror(
  context: Pick<Context, 'env' | 'platformDir'>,
  host: string,
): Promise<{ readonly text: string; readonly where: string } | undefined> {
  const { env } = context
  const variable = (name: string) => {
    const text = env[name]?.trim()
    return text === undefined || text === '' ? undefined : { text, where: name }
  }
  const bindings = await bindingsOf(context, 'dependency-mirror')
  const bound = async (key: string) => {
    for (const binding of bindings) {
      const text = await binding.read(key)
      if (text !== undefined && text !== '') return { text, where: `the binding ${binding.name}/${key}` }
    }
    return undefined
  }
  const own = host.toUpperCase().replaceAll('-', '__').replaceAll('.', '_')
  return (
    variable(`BP_DEPENDENCY_MIRROR_${own}`) ??
    (await bound(host)) ??
    variable('BP_DEPENDENCY_MIRROR') ??
    (await bound('default'))
  )
}
