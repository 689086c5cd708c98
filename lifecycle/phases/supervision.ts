import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { promisify } from 'node:util'
import type { Reporter } from '../events.ts'
import { closable, realPaths, writableByUs } from '../files/closable.ts'
import type { Restrictions } from '../processes/restrictions.ts'

/**
 * How each bin/detect and bin/build is isolated from the phase and from the other buildpacks in the
 * group. All of them run as one user.
 */
export interface Supervision {
  /** distribution/supervisor. */
  readonly supervisor: string
  readonly restrictions: Restrictions
}

/**
 * Returns the path of the supervisor, if it works here. Without it, buildpacks run directly, and a debug note says why:
 * the sandbox or container around the phase still ends every process.
 */
export async function findSupervisor(path: string, reporter: Reporter): Promise<string | undefined> {
  try {
    await promisify(execFile)(path, [], { env: {} })
    return path
  } catch (error) {
    const { message } = error as Error
    const text = `buildpacks are not isolated from each other: ${message.trim()}`
    reporter.event({ type: 'note', level: 'debug', text })
    return undefined
  }
}

/**
 * Warns where the supervisor cannot find every process that a program leaves alive: under a QEMU whose user emulation adopts no
 * orphans (X36). If the supervisor does not work at all, its first run says why.
 */
export async function warnOfOrphans(supervisor: string, reporter: Reporter): Promise<void> {
  const said = await promisify(execFile)(supervisor, [], { env: {} }).catch(() => undefined)
  if (said === undefined || said.stdout === '') return
  reporter.event({
    type: 'warning',
    text: 'leftover processes of buildpacks may still run while the image is made: the emulator of this architecture cannot find them',
    fix: 'build on a machine of that architecture, or with a QEMU that adopts orphans (7.2 does not)',
  })
}

/** The inputs of detect and build that decide which directories a buildpack may change. */
export interface SupervisedInput {
  readonly appDir: string
  /** Buildpacks may not change any of these directories. */
  readonly layersDir: string
  readonly platformDir: string
  readonly buildpacks: { readonly dir: string }
  readonly extensionsDir?: string | undefined
  readonly generatedDir?: string | undefined
  /** Buildpacks may not change the application either. */
  readonly isAppReadOnly?: boolean
}

/**
 * A buildpack may write to its own layers and to the application, but not to other buildpacks' layers, the platform directory, and the
 * buildpacks themselves (buildpack.md, "Build"; X27, X49). It cannot send signals to other processes, read their
 * memory (X36, X41), or make system calls that no build needs (X01, X04, X13).
 * @param home HOME of the buildpack, which it may write to
 * @param ownLayers its directory in the layers directory; bin/detect has none
 */
export function supervisionOf(
  input: SupervisedInput,
  supervisor: string | undefined,
  home: string | undefined,
  ownLayers?: string,
): Supervision | undefined {
  if (supervisor === undefined) return undefined
  const app = input.isAppReadOnly === true ? { closed: [input.appDir] } : { closed: [], open: input.appDir }
  const modules = [input.buildpacks.dir, input.extensionsDir, input.generatedDir].filter(dir => dir !== undefined)
  const closed = [input.layersDir, input.platformDir, ...modules, ...app.closed]
  const open = [ownLayers, app.open, home || undefined, tmpdir()].filter(path => path !== undefined)
  const restrictions = {
    systemCalls: true,
    sockets: true,
    signals: true,
    readOnly: closable(closed, writableByUs),
    writable: realPaths(open),
  }
  return { supervisor, restrictions }
}
