import { describe, expect, it } from 'vitest'
import { subordinateRange } from '../../lifecycle/engines/subordinate.ts'

// subuid(5): a name or a number, the first id, how many.
describe('subordinateRange', () => {
  const first = (text: string) => subordinateRange(text, ['dev', '1000'])?.first

  it('finds the range of a user, by name or number', () => {
    expect(subordinateRange('other:100000:65536\ndev:165536:65536\n', ['dev', '1000'])).toEqual({
      first: 165_536,
      count: 65_535,
    })
    expect(first('1000:300000:65535')).toBe(300_000)
  })

  it('takes the first that is large enough', () => {
    expect(first('dev:100000:1000\ndev:200000:70000\n')).toBe(200_000)
    expect(first('dev:100000:1000\n')).toBeUndefined()
  })

  it.each(['', 'dev', 'dev:x:65536', 'dev:1e6:65536', '# dev:100000:65536', 'devel:100000:65536', 'dev::65536'])(
    'takes nothing from %j',
    text => expect(first(text)).toBeUndefined(),
  )
})
