import { constants } from 'node:os'
import type { ExitStatus } from './engine.ts'

/**
 * Converts the status of a program that was run through another one, which adds 128 to a signal's number as shells do. A program
 * that itself exits with such a number cannot be distinguished.
 */
export function phaseExitStatus(code: number): ExitStatus {
  const signal = Object.entries(constants.signals).find(([, number]) => number === code - 128)
  return signal ? { signal: signal[0] } : { code }
}
