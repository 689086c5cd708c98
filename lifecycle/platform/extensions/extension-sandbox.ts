import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Mount } from '../../engines/engine.ts'
import { wrapErrno } from '../../files/wrap-errno.ts'
import { type Image, makeImage } from '../../image/image.ts'
import { ownersFile, readOwners } from '../../layers/tree/owners.ts'
import { runPhaseBinary } from '../../phase-runner.ts'
import { bundleVariables } from '../../phases/authorities.ts'
import { type ExtenderRun, readExtendedImage } from '../../phases/extended-image.ts'
import { proxiesOf } from '../../phases/proxies.ts'
import { formatAnalyzed } from '../../spec/analyzed.ts'
import type { ExtendKind } from '../../spec/extend-config.ts'
import { formatGroup } from '../../spec/group.ts'
import { writeSparseLayout } from '../../stores/layout/sparse.ts'
import { platformApi } from '../api.ts'
import { nodeRuntime } from '../builders/node-runtime.ts'
import type { OpenBuild } from '../open-build.ts'
import { lifecycleMounts, ownPhase, prepareLifecycle } from '../phase-sandbox.ts'
import { paths } from '../workspace.ts'
import { type ExtensionBase, type ExtensionInputs, generatedOf } from './extension-inputs.ts'

const [kaniko, extended] = ['/kaniko', '/extended']

/**
 * Runs extender in a sandbox of the image to extend, as root of a user namespace. Dockerfiles are hostile: the sandbox sees what its
 * inputs say and the files of the phases, all read-only, and no credential.
 * @param dir a new directory for the sandbox and its result
 * @returns the image with the layers that the Dockerfiles make, and the directory that holds them
 * @throws BaleError 'engine' if this machine cannot make such a sandbox
 */
export async function extendInSandbox(
  kind: ExtendKind,
  { base, extensions, seesSource, network }: ExtensionInputs,
  dir: string,
  { options, distribution, workspace, reporter, emulator }: OpenBuild,
  signal: AbortSignal,
): Promise<{ readonly image: Image; readonly dir: string }> {
  const { settings, limits } = options
  const phases = { from: 'bale', dir: distribution.lifecycleDir, runtime: nodeRuntime(distribution) } as const
  const at = (name: string): string => join(dir, name)
  const places = {
    ...{ lifecycle: at('lifecycle'), kaniko: at('kaniko'), extended: at('extended') },
    ...{ layers: at('layers'), generated: at('layers/generated') },
  }
  await wrapErrno(dir, async () => {
    for (const path of [dir, ...Object.values(places)]) await mkdir(path, { recursive: true })
    await prepareLifecycle(places.lifecycle, phases)
    await writeFile(join(places.layers, 'group.toml'), formatGroup({ buildpacks: [], extensions }))
    await writeBase(kind, base, places.kaniko, signal)
  })
  const engine = settings.engine({
    rootfs: base.rootfs,
    tmpDir: dir,
    landlock: distribution.landlock,
    limits,
    emulator,
    onWarning: warning => reporter.event({ type: 'warning', ...warning }),
    asRoot: true,
  })
  const mounts: Mount[] = [
    ...(await lifecycleMounts(places.lifecycle, phases)),
    readOnly(places.layers, paths.layers),
    readOnly(generatedOf(workspace), `${paths.layers}/generated`),
    ...(seesSource ? [readOnly(workspace.app, workspace.imagePaths.app)] : []),
    readOnly(places.kaniko, kaniko),
    { hostPath: places.extended, path: extended, access: 'read-write' },
  ]
  const argv = [
    ...[...ownPhase, 'extender', '-kind', kind, '-only-image'],
    ...['-app', workspace.imagePaths.app, '-layers', paths.layers],
    ...['-analyzed', `${kaniko}/analyzed.toml`, '-extended', extended],
  ]
  const ofNetwork =
    network === 'none'
      ? {}
      : { ...proxiesOf(settings.environment), ...(await showAuthorities(settings.caBundle, places.kaniko)) }
  const env = {
    ...ofNetwork,
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/root',
    CNB_PLATFORM_API: platformApi,
    BALE_LOG_FORMAT: 'jsonl',
  }
  const run = { argv, env, workingDir: '/', mounts, network, user: { uid: 0, gid: 0 } }
  await runPhaseBinary('extend', engine, run, reporter, {}, signal)
  const result = join(places.extended, kind)
  return { image: await readExtendedImage(result, base.image, extenderInSandbox(kind)), dir: result }
}

/**
 * Gives RUN the certificate authorities of this machine by variables: a mount at their usual place would keep RUN from installing
 * ca-certificates, which replaces that file. apt has no variable but one for a settings file.
 * @param dir is mounted as `kaniko`
 */
async function showAuthorities(caBundle: string | undefined, dir: string): Promise<Record<string, string>> {
  if (caBundle === undefined) return {}
  const [bundle, apt] = ['ca-certificates.crt', 'apt.conf']
  await wrapErrno(caBundle, async () => writeFile(join(dir, bundle), await readFile(caBundle)))
  await writeFile(join(dir, apt), `Acquire::https::CaInfo "${kaniko}/${bundle}";\n`)
  // USER of a Dockerfile may be anyone.
  await chmod(dir, 0o755)
  for (const name of [bundle, apt]) await chmod(join(dir, name), 0o644)
  const variables = { ...bundleVariables(`${kaniko}/${bundle}`), APT_CONFIG: `${kaniko}/${apt}` }
  return Object.fromEntries(Object.entries(variables).map(([name, value]) => [`BALE_RUN_${name}`, value]))
}

/** RUN is root where extender writes its image. */
export function extenderInSandbox(kind: ExtendKind): ExtenderRun {
  const fix = `find the RUN in the ${kind}.Dockerfiles that writes to ${extended}: only extender may make extended images`
  return { kind, owner: process.geteuid?.() ?? 0, fixes: { missing: fix, other: fix, foreign: fix } }
}

const readOnly = (hostPath: string, path: string): Mount => ({ hostPath, path, access: 'read-only' })

/** Writes what restorer leaves in `<kaniko>`, and the owners of the image's files, which unpacking has lost. */
async function writeBase(kind: ExtendKind, base: ExtensionBase, dir: string, signal: AbortSignal): Promise<void> {
  // A daemon gives the content of a config, but not its bytes.
  const image = makeImage(base.image.config, base.image.layers)
  const reference = `${base.name.replace(/@.*$/, '').replace(/:[^/:]*$/, '')}@${image.digest}`
  await writeSparseLayout(join(dir, 'cache/base', image.digest), image)
  const named = { reference, extend: true }
  const analyzed = formatAnalyzed(kind === 'run' ? { runImage: named } : { runImage: undefined, buildImage: named })
  await writeFile(join(dir, 'analyzed.toml'), analyzed)
  await writeFile(join(dir, ownersFile), JSON.stringify(await readOwners(image.layers, signal)))
}
