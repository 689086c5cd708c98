import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openWorkspace, writePlatformEnv } from '../../lifecycle/platform/workspace.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

describe('openWorkspace', () => {
  it('is gone after the build', async () => {
    const cache = await temporaryDirectory()
    {
      await using workspace = await openWorkspace(cache)
      expect(readdirSync(join(cache, 'work'))).toHaveLength(1)
      await writePlatformEnv(workspace.platform, { BP_X: 'a\nb' })
    }
    expect(readdirSync(join(cache, 'work'))).toEqual([])
  })

  it.each([
    ['E05', { 'A=B': 'x' }],
    ['E01', { A: 'x\0y' }],
  ])('%s a variable that no environment can hold is refused', async (_case, env) => {
    const cache = await temporaryDirectory()
    await using workspace = await openWorkspace(cache)
    expect(await failureOf(writePlatformEnv(workspace.platform, env))).toMatchObject({ code: 'arguments' })
  })
})
