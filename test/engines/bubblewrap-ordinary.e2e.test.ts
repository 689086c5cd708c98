import { expect, it } from 'vitest'
import { bubblewrapCases } from './bubblewrap-cases.ts'

// As an ordinary user, also if root runs it. This file has a process of its own, which never gets back to root.
if (process.geteuid?.() === 0) {
  process.setgroups?.([])
  process.setgid?.(54_322)
  process.setuid?.(54_321)
}

it('is not root who runs this', () => expect(process.geteuid?.()).not.toBe(0))

bubblewrapCases()
