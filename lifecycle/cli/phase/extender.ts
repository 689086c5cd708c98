import { BaleError } from '../../errors.ts'
import type { PhaseCommand } from './binary.ts'

/** platform.md, "extender": not supported yet; refuses to run with a message that says so. */
export function prepare(): Promise<PhaseCommand> {
  const refusal = new BaleError('failed', 'image extensions are not supported', {
    fix: 'build with buildpacks only: run builder instead of extender',
  })
  return Promise.resolve({ images: undefined, run: () => Promise.reject(refusal) })
}
