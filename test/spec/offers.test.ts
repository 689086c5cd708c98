import { describe, expect, it } from 'vitest'
import { parseOffers } from '../../lifecycle/spec/offers.ts'

const node = { name: 'Node.js', from: 'a registry', versions: ['24.1.0'] }

describe('offers in a build plan', () => {
  it('are read as they were written', () => {
    const offers = [node, { ...node, versions: [], more: 'others' }]
    expect(parseOffers({ offers })).toEqual(offers)
  })

  it.each([
    [undefined],
    ['24'],
    [[null]],
    [[{ ...node, versions: '24' }]],
    [[{ ...node, versions: [24] }]],
    [[{ ...node, name: undefined }]],
    [[{ ...node, more: 1 }]],
  ])('are refused as %j: a buildpack may write anything', offers => {
    expect(() => parseOffers({ offers })).toThrow('bale-offers has no list of offers')
  })
})
