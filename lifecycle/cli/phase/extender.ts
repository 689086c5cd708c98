import { BaleError } from '../../errors.ts'
import type { PhaseCommand } from './binary.ts'

/** platform.md, "extender": Dockerfiles are not applied yet; refuses to run with a message that says so. */
export function prepare(): Promise<PhaseCommand> {
  const refusal = new BaleError('failed', 'Dockerfiles of image extensions are not applied', {
    fix: 'use extensions that select a run image, or buildpacks only: run builder instead of extender',
  })
  return Promise.resolve({ images: undefined, run: () => Promise.reject(refusal) })
}
