import { gitSettings } from '../sdk/index.ts'

/**
 * The beginnings of the addresses that git reads by SSH, if the build has SSH keys (bale build --ssh): those of GOPRIVATE, as Go asks git
 * for https (go.dev/ref/mod, "Private repositories"), except on hosts whose credentials are in a netrc file.
 */
export function addressesForSsh(env: Readonly<Record<string, string>>, netrcHosts: ReadonlySet<string>): string[] {
  if (env['SSH_AUTH_SOCK'] === undefined || env['GIT_CONFIG_COUNT'] !== undefined) return []
  const patterns = (env['GOPRIVATE'] ?? '').split(',').map(pattern => pattern.trim().replace(/\/$/, ''))
  return [...new Set(patterns.flatMap(beginnings))].filter(each => !netrcHosts.has(each.split('/')[0] ?? ''))
}

/** Variables that make git use SSH for addresses that begin like this: `example.com/acme/`. */
export const sshSettings = (addresses: readonly string[]): Record<string, string> =>
  gitSettings(addresses.map(address => [`url.ssh://git@${address}.insteadOf`, `https://${address}`]))

/**
 * What addresses of a pattern's repositories begin with. Git compares texts, not elements of a path: `example.com/acme` would include
 * `example.com/acmecorp`. Empty if a wildcard is in the host.
 */
function beginnings(pattern: string): string[] {
  const [literal = ''] = pattern.split(/[*?[\\]/)
  const [host = '', ...path] = literal.split('/')
  if (!/^[\w.-]+$/.test(host)) return []
  if (literal !== pattern) return path.length === 0 ? [] : [literal]
  if (path.length === 0) return [`${host}/`]
  // One element is an owner of repositories, or a repository.
  if (path.length === 1) return [`${pattern}/`, `${pattern}.git`]
  // More elements may be a repository, which Go asks for with and without ".git". Git cannot tell the second from the beginning of a
  // longer name of the same owner.
  return [pattern]
}
