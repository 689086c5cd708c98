import { expect, it } from 'vitest'
import { bubblewrapCases } from './bubblewrap-cases.ts'
import { becomeOrdinary } from './harness.ts'

becomeOrdinary()
it('is not root who runs this', () => expect(process.geteuid?.()).not.toBe(0))
bubblewrapCases()
