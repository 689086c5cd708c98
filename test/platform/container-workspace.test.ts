import { describe, expect, it } from 'vitest'
import { requireRights } from '../../lifecycle/platform/container-workspace.ts'
import { BaleError } from '../../lifecycle/errors.ts'

const status = (effective: string): string =>
  `Name:\tnode\nCapInh:\t0000000000000000\nCapEff:\t${effective}\nSeccomp:\t2\n`

describe('root in a container', () => {
  it('may run buildpacks as another user with the rights that Docker gives', () => {
    requireRights(0, status('00000000a80425fb'))
  })

  it('is refused without them, since buildpacks would run as root', () => {
    expect(() => requireRights(0, status('0000000000000000'))).toThrowError(
      expect.objectContaining({
        code: 'engine',
        message: expect.stringContaining('CHOWN, DAC_OVERRIDE, SETGID, SETUID') as string,
        fix: expect.stringContaining('--user 1000') as string,
      }) as BaleError,
    )
    expect(() => requireRights(0, '')).toThrowError(BaleError)
  })

  it('is what others are not: they need no right', () => {
    requireRights(1000, status('0000000000000000'))
  })
})
