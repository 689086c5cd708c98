import { describe, expect, it } from 'vitest'
import { requireExtensions, withExtensions } from '../../../lifecycle/platform/builders/extension-selection.ts'
import type { BuildpackModule } from '../../../lifecycle/platform/builders/module.ts'
import { failureOf } from '../../helpers/failure.ts'

const moduleOf = (id: string, version: string, dir?: string): BuildpackModule => ({
  kind: 'extension',
  descriptor: { api: '0.10', id, version, clearEnv: false, targets: [], stacks: [], sbomFormats: [] } as never,
  ...(dir !== undefined && { dir }),
})

const builder = {
  extensions: [moduleOf('acme/own', '1.0.0'), moduleOf('acme/other', '2.0.0')],
  order: {
    groups: [[{ id: 'acme/app', version: '1.0.0', optional: false }]],
    extensions: [[{ id: 'acme/own', version: '1.0.0', optional: true }]],
  },
}
const given = moduleOf('acme/given', '3.0.0', '/given')
const open = (uri: string) => Promise.resolve([uri === './given' ? given : builder.extensions[1]] as [BuildpackModule])
const { signal } = new AbortController()

describe('withExtensions', () => {
  it('keeps the builder’s extensions if the user chooses none', async () => {
    expect(await withExtensions(builder, [], open, signal)).toEqual(builder)
  })

  it('puts the user’s extensions into one group, in place of the builder’s order', async () => {
    const { extensions, order } = await withExtensions(builder, ['./given', 'acme/other'], open, signal)
    expect(order).toEqual({
      groups: builder.order.groups,
      extensions: [
        [
          { id: 'acme/given', version: '3.0.0', optional: true },
          { id: 'acme/other', version: '2.0.0', optional: true },
        ],
      ],
    })
    expect(extensions).toEqual([...builder.extensions, given])
  })

  it('refuses an extension that is given twice', async () => {
    expect(await failureOf(() => withExtensions(builder, ['./given', './given'], open, signal))).toMatchObject({
      code: 'arguments',
      message: 'the image extension acme/given is given twice',
      where: '--extension',
    })
  })
})

describe('requireExtensions', () => {
  it.each([
    ['builder', false, '--lifecycle builder uses no image extensions'],
    ['bale', true, 'a job in a container of a builder image uses no image extensions'],
  ] as const)(
    'with the lifecycle %s, in a container: %s, refuses extensions',
    async (lifecycle, inContainer, message) => {
      const failure = await failureOf(() => Promise.resolve(requireExtensions(['a'], lifecycle, inContainer)))
      expect(failure).toMatchObject({ code: 'usage', message, where: '--extension' })
      expect(() => requireExtensions([], lifecycle, inContainer)).not.toThrow()
    },
  )

  it('permits them on a machine', () => {
    expect(() => requireExtensions(['a'], undefined, false)).not.toThrow()
  })
})
