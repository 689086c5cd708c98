import { expect, it } from 'vitest'
import { layerSource } from '../../lifecycle/layers/tree/pack.ts'
import { makeBuilder } from '../../lifecycle/platform/builders/make-builder.ts'
import { configOf, layerOf } from '../helpers/images.ts'

it('has a history for each layer, where the build image has none', async () => {
  const config = configOf({ config: { Env: ['CNB_USER_ID=1001', 'CNB_GROUP_ID=1000'] } })
  const plan = makeBuilder({
    description: 'For tests',
    buildpacks: [],
    extensions: [],
    order: { groups: [], extensions: [] },
    buildConfig: [],
    base: { layers: [await layerOf({ a: 'a' }), await layerOf({ b: 'b' })], config },
    runImage: { image: 'run', mirrors: [] },
    lifecycle: { layer: layerSource('Lifecycle', []), metadata: {} },
  })
  const { history } = plan.config([])
  expect(history).toHaveLength(plan.layers.length)
  expect(history?.at(-1)?.created_by).toBe('The order of buildpacks, and the run image')
})
