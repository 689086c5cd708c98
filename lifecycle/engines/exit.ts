import { constants } from 'node:os'
import type { ExitStatus } from './engine.ts'

/**
 * The status of a program that was run by way of another, which adds 128 to a signal's number as shells do; a program
 * that exits with such a number on its own cannot be told apart.
 */
export function phaseExitStatus(code: number): ExitStatus {
  const signal = Object.entries(constants.signals).find(([, number]) => number === code - 128)
  return signal ? { signal: signal[0] } : { code }
}
