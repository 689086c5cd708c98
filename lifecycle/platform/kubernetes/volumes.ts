import { type ClusterBuild, type Step, isUntrusted, keysOfSecret, stableName } from './cluster-build.ts'
import type { ClusterSettings } from './settings.ts'

// The volumes of a pod, and where each container mounts them.

/** The directory of analyzed.toml. Buildpacks can read but not write it, since it names the images that export reads. */
export const results = '/bale'
export const runFile = `${results}/run.toml`
export const orderFile = `${results}/order.toml`
export const platformDir = '/platform'
export const cacheDir = '/cache'
export const registryDir = '/registry'
/** Debian's file of trusted certificate authorities. git, curl, pip and Bale read it. */
const certificatesFile = '/etc/ssl/certs/ca-certificates.crt'

export function mountsOf(step: Step, build: ClusterBuild, settings: ClusterSettings) {
  const mount = (name: string, mountPath: string, more: object = {}) => ({ name, mountPath, ...more })
  const readOnly = { readOnly: true }
  const app = { subPath: 'workspace' }
  // Trusted containers and buildpacks do not share /tmp and HOME.
  const own = isUntrusted(step) ? 'buildpacks' : 'trusted'
  const { certificates } = settings
  const everywhere = [
    mount(`${own}-tmp`, '/tmp'),
    mount(`${own}-home`, '/home/bale'),
    ...(certificates === undefined
      ? []
      : [mount('certificates', certificatesFile, { ...readOnly, subPath: certificates.key })]),
  ]
  const registry =
    !isUntrusted(step) && settings.registrySecret !== undefined ? [mount('registry', registryDir, readOnly)] : []
  const bindings = bindingsOf(build, settings).map(({ id, volume }) =>
    mount(volume, `${platformDir}/bindings/${id}`, readOnly),
  )
  if (step === 'source')
    return [
      ...[...everywhere, ...registry, mount('source', '/source'), mount('platform', platformDir)],
      // `bale source` reads no bindings. Mounting them creates their directories before the platform directory is read-only.
      ...bindings,
      mount('results', results),
    ]
  const usesCache = settings.cache?.claim !== undefined && (step === 'restore' || step === 'export')
  return [
    ...everywhere,
    mount('layers', '/layers'),
    mount('results', results, isUntrusted(step) ? readOnly : {}),
    // buildpack.md, "Detection": the app directory is read-only there. Analyze and restore need none.
    ...(step === 'detect' ? [mount('source', '/workspace', { ...app, ...readOnly })] : []),
    ...(step === 'build' || step === 'export' ? [mount('source', '/workspace', app)] : []),
    ...(isUntrusted(step) ? [mount('platform', platformDir, readOnly)] : []),
    // Export checks that the image contains no secret of the bindings.
    ...(isUntrusted(step) || step === 'export' ? bindings : []),
    ...registry,
    ...(usesCache ? [mount('cache', cacheDir, { subPath: stableName('app', build.image) })] : []),
  ]
}

interface Binding {
  readonly id: string
  readonly volume: string
  readonly secret: { readonly secretName: string; readonly items?: readonly { key: string; path: string }[] }
}

/** The bindings of a build: those of its own Secret, and whole Secrets of the namespace by their names. */
export function bindingsOf({ name, secrets }: ClusterBuild, { bindings = [] }: ClusterSettings): Binding[] {
  const items = new Map<string, Map<string, string>>()
  for (const [index, { id, key }] of secrets.entries()) {
    const keys = keysOfSecret(index)
    const files = items.get(id) ?? new Map<string, string>()
    items.set(id, files.set('type', keys.type).set(key, keys.value))
  }
  const own = [...items].map(([id, files]) => ({
    id,
    secret: { secretName: name, items: [...files].map(([path, key]) => ({ key, path })) },
  }))
  return [...own, ...bindings.map(id => ({ id, secret: { secretName: id } }))].map((binding, index) => ({
    ...binding,
    volume: `binding-${index}`,
  }))
}

export function volumesOf(build: ClusterBuild, settings: ClusterSettings) {
  const { registrySecret, cache, certificates } = settings
  const empty = [
    'source',
    'platform',
    'results',
    'layers',
    'trusted-tmp',
    'trusted-home',
    'buildpacks-tmp',
    'buildpacks-home',
  ]
  return [
    ...empty.map(name => ({ name, emptyDir: {} })),
    ...(registrySecret === undefined
      ? []
      : [
          {
            name: 'registry',
            secret: {
              secretName: registrySecret,
              defaultMode: 0o440,
              items: [{ key: '.dockerconfigjson', path: 'config.json' }],
            },
          },
        ]),
    ...bindingsOf(build, settings).map(({ volume, secret }) => ({
      name: volume,
      secret: { ...secret, defaultMode: 0o440 },
    })),
    ...(certificates === undefined ? [] : [certificatesVolume(certificates)]),
    ...(cache?.claim === undefined ? [] : [{ name: 'cache', persistentVolumeClaim: { claimName: cache.claim } }]),
  ]
}

/** With `items`, a missing key of the ConfigMap is an error of the volume. Without it, an empty directory would be mounted. */
const certificatesVolume = ({ configMap, key }: NonNullable<ClusterSettings['certificates']>) => ({
  name: 'certificates',
  configMap: { name: configMap, items: [{ key, path: key }] },
})
