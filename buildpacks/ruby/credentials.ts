import { type Binding, bindingsOf, BuildpackError, type Context, warnOfSecond } from '../sdk/index.ts'
import { isCredential, parseConfig } from './settings.ts'

/**
 * Credentials from bindings of the type `bundler`, as Bundler's settings. A key is a host, with `user:password` or a token as its text;
 * or it is `config`, a Bundler file with such settings.
 * @throws BuildpackError for other settings in that file, and for a text that is not a credential
 */
export async function readCredentials(
  context: Pick<Context, 'env' | 'platformDir' | 'log'>,
): Promise<Record<string, string>> {
  const found = new Map<string, { value: string; binding: Binding }>()
  for (const binding of await bindingsOf(context, 'bundler')) {
    for (const key of binding.keys) {
      const where = `the binding ${binding.name}/${key}`
      const text = (await binding.read(key)) ?? ''
      const all = key === 'config' ? credentialsOf(text, where) : { [settingFor(key, where)]: checked(text, where) }
      for (const [name, value] of Object.entries(all)) {
        const first = found.get(name)
        if (first === undefined) found.set(name, { value, binding })
        else if (first.value !== value) warnOfSecond(context, 'bundler', first.binding, binding, name)
      }
    }
  }
  return Object.fromEntries(Array.from(found, ([name, { value }]) => [name, value]))
}

function credentialsOf(text: string, where: string): Record<string, string> {
  const settings = parseConfig(text, where)
  const other = Object.keys(settings).find(name => !isCredential(name))
  if (other === undefined) return settings
  throw new BuildpackError(`${other} is not a credential`, {
    where,
    fix: 'keep only BUNDLE_HOST__NAME settings in it, and move the rest to .bundle/config',
  })
}

/** The setting for a host (bundler.io, "bundle config"): a dot becomes two underscores and a hyphen three. */
function settingFor(host: string, where: string): string {
  if (/^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(host))
    return `BUNDLE_${host.toUpperCase().replaceAll('.', '__').replaceAll('-', '___')}`
  throw new BuildpackError('is not a host name', {
    where,
    fix: 'give the key the name of the gem host: gems.example.com',
  })
}

function checked(text: string, where: string): string {
  if (/^[!-~]+$/.test(text)) return text
  throw new BuildpackError('holds no credential', { where, fix: 'write user:password or a token into it, on one line' })
}
