import { bubblewrapEngine } from '../engines/bubblewrap.ts'
import type { Engine } from '../engines/engine.ts'
import { BaleError } from '../errors.ts'
import { type Emulator, findEmulator } from '../processes/emulation.ts'
import { type Env, hostPlatform, storeSettings } from '../stores/settings.ts'
import type { StoreSettings } from '../stores/transport.ts'

/** Makes the engine for a build, once its root file system is known. */
export type EngineFactory = (place: {
  /** The unpacked build image: one directory, or its layers, the lowest first. */
  readonly rootfs: string | readonly string[]
  /** An existing directory for temporary files. */
  readonly tmpDir: string
  readonly caBundle?: string
  /** Closes abstract unix sockets to programs that have the host's network. */
  readonly landlock?: string | undefined
  readonly limits?: { readonly pids?: number; readonly memory?: number; readonly disk?: number } | undefined
  readonly onWarning?: (warning: { readonly text: string; readonly fix: string }) => void
  /** Whether programs run as root of a user namespace with many ids, and may write to the root file system. */
  readonly asRoot?: boolean
  /** The emulator for its programs, if they are for another architecture than this machine's. */
  readonly emulator?: Emulator | undefined
}) => Engine

/** Everything that Bale takes from the machine and the user's environment. `settings()` has the defaults. */
export interface Settings extends StoreSettings {
  /** Makes the sandbox in which detect and build run. */
  readonly engine: EngineFactory
  /** Finds an emulator for another architecture, before a build for it: qemu, by default. */
  readonly findEmulator?: ((architecture: string) => Promise<Emulator>) | undefined
  /** Seconds (reproducible-builds.org/specs/source-date-epoch). */
  readonly sourceDateEpoch?: number
  /** A mirror of the Debian archive to make stacks from, instead of the machine's own. */
  readonly debianMirror?: string
}

/**
 * The settings of `bale` on this machine, for a program to change: `{ ...settings(process.env), cacheDir: '/var/cache/app' }`.
 * Defaults: images in `$XDG_DATA_HOME/bale`, caches in `$XDG_CACHE_HOME/bale`, credentials from `$DOCKER_CONFIG/config.json`
 * and CNB_REGISTRY_AUTH, the daemon at DOCKER_HOST, this machine's platform, sandboxes by bubblewrap.
 * @param env the environment; nothing else of the process is read
 * @throws BaleError 'arguments' for a malformed SOURCE_DATE_EPOCH
 */
export function settings(env: Env): Settings {
  const epoch = sourceDateEpoch(env['SOURCE_DATE_EPOCH'])
  return {
    ...storeSettings(env),
    engine: bubblewrapEngine,
    sourceDateEpoch: epoch,
    ...(env['BALE_DEBIAN_MIRROR'] && { debianMirror: env['BALE_DEBIAN_MIRROR'] }),
  }
}

/**
 * Finds the emulator for an architecture; undefined if the machine needs none.
 * @throws BaleError 'engine' if there is no emulator
 */
export async function emulatorFor(
  { findEmulator: find = findEmulator }: Settings,
  architecture: string,
): Promise<Emulator | undefined> {
  return architecture === hostPlatform().architecture ? undefined : find(architecture)
}

function sourceDateEpoch(value: string | undefined): number | undefined {
  if (value === undefined || value === '') return undefined
  if (/^\d{1,11}$/.test(value)) return Number(value)
  throw new BaleError('arguments', `SOURCE_DATE_EPOCH is ${JSON.stringify(value)}`, {
    fix: 'make it a number of seconds since 1970, or unset it',
  })
}
