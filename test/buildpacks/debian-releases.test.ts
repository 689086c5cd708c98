import { describe, expect, it } from 'vitest'
import { warnOfOlder } from '../../buildpacks/debian/releases.ts'

describe('a version of an older release of Debian', () => {
  it('is warned of with the end of its support; the one of the stack is not', () => {
    const warnings: string[] = []
    const log = { warning: (text: string) => void warnings.push(text) }
    warnOfOlder(log, 'PHP', { minor: '8.4' }, { minor: '8.4' })
    warnOfOlder(log, 'PHP', { minor: '8.2', older: 'bookworm' }, { minor: '8.4' })
    expect(warnings).toEqual([
      "PHP 8.2 comes from Debian's older release bookworm, which gets security fixes only, until June 2028",
    ])
  })
})
