import type { StoreSettings } from '../stores/transport.ts'
import { parseRegistries } from './values.ts'

/** Settings that also trust the registries of `--insecure-registry`. */
export function withInsecure<S extends StoreSettings>(settings: S, hosts: readonly string[] | undefined): S {
  const insecure = parseRegistries(hosts, '--insecure-registry')
  return { ...settings, insecureRegistries: [...(settings.insecureRegistries ?? []), ...insecure] }
}
