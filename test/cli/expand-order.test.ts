import { describe, expect, it } from 'vitest'
import { expand } from '../../lifecycle/cli/commands/builder.ts'

const element = (id: string) => ({ id, version: '1', optional: false })
const component = { version: '1', api: '0.12', diffId: '', stacks: [], targets: [] }
/** Composites that each name the next one twice, and a component. */
const listed = (levels: number) =>
  Array.from({ length: levels + 1 }, (_, n) => ({
    ...component,
    id: `level${n}`,
    ...(n < levels && { order: [[element(`level${n + 1}`)], [element(`level${n + 1}`)]] }),
  }))

describe('the order that bale builder inspect shows', () => {
  it('has the composites down to a level', () => {
    const [first] = expand([[element('level0')]], listed(3), 2)
    expect(first?.group[0]?.order).toHaveLength(2)
    expect(first?.group[0]?.order?.[0]?.group[0]).toMatchObject({ id: 'level1', order: undefined })
  })

  it('is refused when composites multiply to too many buildpacks', () => {
    expect(() => expand([[element('level0')]], listed(40), Infinity)).toThrow('has more than 10000 buildpacks')
    expect(expand([[element('level0')]], listed(40), 1)).toHaveLength(1)
  })
})
