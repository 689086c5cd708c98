import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { mirrorOf } from '../../../buildpacks/sdk/mirrors.ts'
import { failureOf } from '../../helpers/failure.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { writeTree } from '../../helpers/tree.ts'

const address = 'https://static.rust-lang.org/dist/a.tar'
const own = 'BP_DEPENDENCY_MIRROR_STATIC_RUST__LANG_ORG'

async function mirror(env: Record<string, string>, binding: Record<string, string> = {}, of = address) {
  const platformDir = await temporaryDirectory()
  const keys = Object.entries({ type: 'dependency-mirror', ...binding })
  if (keys.length > 1) await writeTree(join(platformDir, 'bindings/corp'), Object.fromEntries(keys))
  return mirrorOf({ env, platformDir }, of)
}

describe('the mirror of an address', () => {
  it.each([
    [{}, {}, undefined, undefined],
    [{ BP_DEPENDENCY_MIRROR: 'https://m.test/' }, {}, 'https://m.test/dist/a.tar', 'BP_DEPENDENCY_MIRROR'],
    [
      { BP_DEPENDENCY_MIRROR: 'https://u:p@m.test/x/{originalHost}' },
      {},
      'https://u:p@m.test/x/static.rust-lang.org/dist/a.tar',
      'BP_DEPENDENCY_MIRROR',
    ],
    [{ [own]: 'file:///m', BP_DEPENDENCY_MIRROR: 'https://m.test' }, {}, 'file:///m/dist/a.tar', own],
    [
      { BP_DEPENDENCY_MIRROR: 'https://m.test' },
      { 'static.rust-lang.org': 'https://b.test\n' },
      'https://b.test/dist/a.tar',
      'the binding corp/static.rust-lang.org',
    ],
    [
      { BP_DEPENDENCY_MIRROR: 'https://m.test' },
      { default: 'https://b.test' },
      'https://m.test/dist/a.tar',
      'BP_DEPENDENCY_MIRROR',
    ],
    [{}, { default: 'https://b.test' }, 'https://b.test/dist/a.tar', 'the binding corp/default'],
    [{ BP_DEPENDENCY_MIRROR: '' }, { 'other.test': 'https://b.test' }, undefined, undefined],
  ])('with %j and the binding %j is %s', async (env, binding, url, where) => {
    const found = await mirror(env, binding)
    expect(found).toEqual(url === undefined ? undefined : { url, where })
  })

  it('that is not an address is refused without its password', async () => {
    const failure = await failureOf(mirror({ [own]: 'u:secret@m.test' }))
    expect(failure).toMatchObject({ where: own, message: 'is not an address of a mirror' })
    expect(String(failure)).not.toContain('secret')
  })

  it('of a host alone has no slash at its end', async () => {
    const found = await mirror({ BP_DEPENDENCY_MIRROR: 'https://m.test/' }, {}, 'https://static.rust-lang.org')
    expect(found?.url).toBe('https://m.test')
  })
})
