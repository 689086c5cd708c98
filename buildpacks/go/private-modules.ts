import { gitSettings } from '../sdk/index.ts'

/**
 * Variables that make git use SSH for the modules of GOPRIVATE, if the build has SSH keys (bale build --ssh): Go asks git for https
 * (go.dev/ref/mod, "Private repositories").
 */
export function sshForPrivateModules(env: Readonly<Record<string, string>>): Record<string, string> {
  if (env['SSH_AUTH_SOCK'] === undefined || env['GIT_CONFIG_COUNT'] !== undefined) return {}
  const prefixes = (env['GOPRIVATE'] ?? '').split(',').map(literalPrefix).filter(Boolean)
  return gitSettings(prefixes.map(prefix => [`url.ssh://git@${prefix}.insteadOf`, `https://${prefix}`]))
}

/** The part of a pattern before its first wildcard, in whole elements, with at least the host: `example.com/`, `example.com/acme`. */
function literalPrefix(pattern: string): string {
  const elements = pattern.trim().split('/')
  const wild = elements.findIndex(element => /[*?[\\]/.test(element))
  const [host = '', ...path] = wild < 0 ? elements : elements.slice(0, wild)
  if (!/^[\w.-]+(:\d+)?$/.test(host)) return ''
  return `${host}/${path.join('/')}`
}
