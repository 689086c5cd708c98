import { expect, it } from 'vitest'
import { bubblewrapCases } from './bubblewrap-cases.ts'
import { stayRoot } from './harness.ts'

// Root's sandboxes where they cannot be another user's to the machine: file systems that map no ids, old kernels, some containers.
stayRoot()
if (process.geteuid?.() === 0) bubblewrapCases()
else it('is for root alone', () => expect(process.geteuid?.()).not.toBe(0))
