import { mkdir, mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError } from '../errors.ts'
import { removeTree } from '../files/remove.ts'
import { type Emulator, registerCommands } from '../processes/emulation.ts'
import { ownNamespaces } from './overlay.ts'
import type { Places } from './places.ts'
import type { Wrapper } from './wrapper.ts'

/** The mount point of binfmt_misc, in the working directory of a wrapper. The sandbox does not see it. */
const mountPoint = 'binfmt'

/** A wrapper, if any is needed. */
export interface Emulation extends AsyncDisposable {
  readonly wrapper?: Wrapper
}

/**
 * Lets a wrapper register an emulator in the user namespace in which bubblewrap starts: the kernel also uses it for the sandbox,
 * whose user namespace is a child. Without a wrapper, makes one with such a namespace. The machine's settings do not change.
 * @param tmpDir for the mount point, if there is no wrapper
 */
export async function openEmulation(
  emulator: Emulator | undefined,
  wrapper: Wrapper | undefined,
  { tmpDir, places }: { readonly tmpDir?: string | undefined; readonly places?: Places | undefined },
): Promise<Emulation> {
  const nothing = async (): Promise<void> => {}
  const registration = emulator?.registration
  if (registration === undefined) return { ...(wrapper && { wrapper }), [Symbol.asyncDispose]: nothing }
  const registers = ['sh', '-c', `${registerCommands}; exec "$@"`, 'sh', mountPoint, registration]
  if (wrapper !== undefined) {
    await mkdir(join(wrapper.cwd, mountPoint))
    return { wrapper: { ...wrapper, argv: [...wrapper.argv, ...registers] }, [Symbol.asyncDispose]: nothing }
  }
  if (tmpDir === undefined) throw new BaleError('engine', 'an emulator needs a directory for temporary files')
  const dir = await mkdtemp(join(tmpDir, 'run-'))
  await mkdir(join(dir, mountPoint))
  return {
    wrapper: { before: ':', argv: [...ownNamespaces, ...registers], cwd: dir, place: places?.open(dir) },
    [Symbol.asyncDispose]: () => removeTree(dir),
  }
}
