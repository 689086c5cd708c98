import { BaleError } from '../../errors.ts'
import type { Work } from './binary.ts'

export function prepare(): Promise<Work> {
  return Promise.reject(new BaleError('failed', 'exporter cannot be run yet'))
}
