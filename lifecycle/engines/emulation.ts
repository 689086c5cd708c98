import { mkdir, mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError } from '../errors.ts'
import { removeTree } from '../files/remove.ts'
import { type Emulator, registerCommands } from '../processes/emulation.ts'
import { ownNamespaces } from './overlay.ts'
import type { Places } from './places.ts'
import type { Wrapper } from './sandbox.ts'

/** Where binfmt_misc is mounted, in the directory in which a wrapper starts. The sandbox does not see it. */
const mountPoint = 'binfmt'

/** A wrapper, if any is needed. */
export interface Emulation extends AsyncDisposable {
  readonly wrapper?: Wrapper
}

/**
 * Has a wrapper register an emulator in the user namespace in which bubblewrap starts: the kernel takes it for the sandbox too,
 * whose user namespace is below. Without a wrapper, makes one with such a namespace. Nothing of the machine's changes.
 * @param tmpDir for what is mounted on, where there is no wrapper
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
