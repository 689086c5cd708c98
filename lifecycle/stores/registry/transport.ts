import { readFileSync } from 'node:fs'
import { type Reference, atDigest, formatReference, parseReference, repositoryName } from '../../image/reference.ts'
import type { Digest } from '../../image/digest.ts'
import { toBytes } from '../../files/byte-string.ts'
import { wrapErrnoSync } from '../../files/safe-open.ts'
import type { BaleError } from '../../errors.ts'
import { registrySettings } from '../settings.ts'
import type { ImageReference, ImageTransport, StoreContext } from '../transport.ts'
import { removeManifest } from './remove.ts'
import { type Registry, openRegistry, proxySettings, registryStore } from './store.ts'
import { unusedLogin } from './unused-login.ts'

interface RegistryTransport extends ImageTransport {
  at(docker: Reference): ImageReference
}

/** Registries. A store is one repository; connections and tokens belong to the host and are shared. */
export const registry: RegistryTransport = {
  name: 'registry',
  prefix: 'docker://',
  form: 'docker://NAME',
  isPath: false,
  keepsManifests: true,
  at: docker => ({ transport: registry, location: repositoryName(docker), name: formatReference(docker), docker }),
  parse: rest => registry.at(parseReference(rest)),
  open({ docker, name }, context) {
    const { registry: host, repository } = docker ?? parseReference(name)
    const { keepImmutableTags = false } = registrySettings(context.settings.registries, host)
    const shared = () => context.shared(`registry ${host}`, () => connect(host, context))
    const store = registryStore(
      { registry: host, repository },
      {
        registry: shared(),
        onPush: context.onTransfer('push'),
        onPull: context.onTransfer('pull'),
        ...(keepImmutableTags && {
          onKeptTag: (tag: string, { message }: BaleError) =>
            context.warn(
              `${tag} keeps its image: ${message}; the new image has no tag there, but is available by its digest`,
            ),
        }),
        ...context.packing,
      },
    )
    const remove = async (digest: Digest, signal?: AbortSignal) => removeManifest(shared(), repository, digest, signal)
    return { store, registry: host, remove }
  },
  identify: ({ docker, name }, { digest }) => formatReference(atDigest(docker ?? parseReference(name), digest)),
}

function connect(host: string, { settings, credentials }: StoreContext): Registry {
  const { environment, caBundle, insecureRegistries = [], registries, registryAttempts } = settings
  const { insecure = false, skipTlsVerify = false, ca, clientCert, clientKey } = registrySettings(registries, host)
  const read = (path: string): string => wrapErrnoSync(toBytes(path), () => readFileSync(path, 'utf8'))
  return openRegistry({
    registry: host,
    insecure: insecure || insecureRegistries.includes(host),
    unverified: skipTlsVerify,
    credentials,
    unusedLogin: unusedLogin(host, environment),
    proxy: proxySettings(environment),
    // The machine's certificate authorities, which Node does not use by itself.
    ca: [caBundle, ca].flatMap(path => (path === undefined ? [] : [read(path)])),
    ...(clientCert !== undefined && { client: { cert: read(clientCert), key: read(clientKey ?? clientCert) } }),
    ...(registryAttempts !== undefined && { limits: { attempts: registryAttempts } }),
  })
}
