import peer from '@iarna/toml'
import { describe, expect, it } from 'vitest'
import { formatToml, parseToml } from '../../lifecycle/spec/toml.ts'
import type { Metadata } from '../../lifecycle/spec/types.ts'

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

/** Tables of text, whole numbers, booleans, lists and tables, the same for the same seed. */
function table(random: () => number, depth: number): Metadata {
  const keys = ['id', 'with space', 'quo"te', 'ключ', 'a.b', 'version', 'x-y_z', '1']
  const chosen = keys.filter(() => random() < 0.5)
  return Object.fromEntries(chosen.map(key => [key, value(random, depth)]))
}

function value(random: () => number, depth: number): unknown {
  const kind = Math.floor(random() * (depth > 0 ? 6 : 4))
  if (kind === 0) return ['', 'plain', 'line\nbreak', '\u0007 bell', 'it\'s \\ "quoted"', '☃'][Math.floor(random() * 6)]
  if (kind === 1) return Math.floor(random() * 2_000_000_000) - 1_000_000_000
  if (kind === 2) return random() < 0.5
  if (kind === 3) return Array.from({ length: Math.floor(random() * 4) }, (_, i) => `item ${i}`)
  if (kind === 4) return table(random, depth - 1)
  return Array.from({ length: Math.floor(random() * 3) + 1 }, () => table(random, depth - 1))
}

function seeded(seed: number): () => number {
  let state = seed
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
}

describe('TOML, against @iarna/toml as it is', () => {
  it.each(Array.from({ length: 200 }, (_, seed) => seed))(
    'reads what we write, and we what it writes: seed %i',
    seed => {
      const written = table(seeded(seed), 3)
      expect(plain(peer.parse(formatToml(written)))).toEqual(plain(written))
      expect(plain(parseToml(peer.stringify(written as peer.JsonMap), 'peer.toml'))).toEqual(plain(written))
    },
  )
})
