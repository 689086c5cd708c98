import { expect, it } from 'vitest'
import { becomeOrdinary } from './harness.ts'
import { runImageCases } from './run-container-cases.ts'

becomeOrdinary()
it('is not root who runs this', () => expect(process.geteuid?.()).not.toBe(0))
runImageCases()
