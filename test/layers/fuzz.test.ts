import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { BaleError } from '../../lifecycle/errors.ts'
import { digestOf } from '../../lifecycle/image/digest.ts'
import { oci } from '../../lifecycle/image/media-types.ts'
import { removeTree } from '../../lifecycle/files/remove.ts'
import { unpackImage, unpackTree } from '../../lifecycle/layers/tree/unpack.ts'
import { readTree } from '../helpers/tree.ts'
import { directory, entry, file, gnuLong, hardlink, pax, streamOf, symlink, tar } from '../helpers/tar.ts'
import { workDirectory } from './work-directory.ts'

const rounds = 300

/** Numbers below n, the same in every run: a failure can be repeated. */
let state = 1
const random = (n: number): number => (state = (state * 48_271) % 2_147_483_647) % n
const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T

const goodNames = [
  'l/a',
  'l/b',
  'l/a/c',
  'l/b/d',
  '/l/e',
  './l/f',
  'l/.wh.a',
  'l/.wh.b',
  'l/b/.wh..wh..opq',
  'l/.wh..wh..opq',
]
const badNames = ['../x', 'l/../x', 'l/a/', 'l', '', '.', 'l/.wh.']
const targets = ['a', '../canary', '/canary', 'l/a', 'l/b', 'l/b/d', '..', '']

function part(): Buffer {
  const [name, target] = [pick(random(12) === 0 ? badNames : goodNames), pick(targets)]
  const makers = [
    () => file(name, 'x'.repeat(random(2000)), { mode: random(0o10000) }),
    () => directory(name, { mode: random(0o10000) }),
    () => symlink(name, target),
    () => hardlink(name, target),
  ]
  const rareMakers = [
    () => entry(name, { type: pick(['3', '4', '6', '7', 'S', '\0']) }),
    () => pax({ path: name || 'y', linkpath: target || 'y' }),
    () => pax({ size: String(random(3000)) }),
    () => gnuLong(pick(['L', 'K']), name),
  ]
  return name.includes('.wh.') ? file(name) : pick(random(10) === 0 ? rareMakers : makers)()
}

/** Archives of odd entries, a quarter of them with a few bytes changed, or cut. */
function archive(): Buffer {
  const bytes = tar(directory('l'), ...Array.from({ length: 1 + random(6) }, part))
  if (random(4) > 0) return bytes
  for (let i = random(4); i > 0; i--)
    bytes[random(bytes.length)] = pick([0, 1, 0x20, 0x2f, 0x2e, 0x30, 0x37, 0x80, 0xff])
  return random(4) === 0 ? bytes.subarray(0, random(bytes.length)) : bytes
}

describe('odd archives', () => {
  it.each(['unpackTree', 'unpackImage'])('%s unpacks them or refuses them, and touches nothing else', async how => {
    const dir = await workDirectory()
    for (const name of ['work', 'canary']) mkdirSync(join(dir, name))
    writeFileSync(join(dir, 'canary/file'), 'untouched')
    const to = join(dir, 'work/out')
    let unpacked = 0
    for (let round = 0; round < rounds; round++) {
      const layers = Array.from({ length: 2 }, () => {
        const bytes = archive()
        const digest = digestOf(bytes)
        return {
          kind: 'layer' as const,
          diffId: digest,
          digest,
          size: bytes.length,
          mediaType: oci.layer,
          open: () => streamOf(bytes, 700),
        }
      })
      try {
        if (how === 'unpackImage') await unpackImage(layers, to)
        else await unpackTree((layers[0] as { open(): AsyncIterable<Uint8Array> }).open(), { from: '/l', to })
        unpacked++
        expect(existsSync(to)).toBe(true)
        await removeTree(to)
      } catch (error) {
        expect(error, `round ${round}`).toBeInstanceOf(BaleError)
        expect((error as BaleError).code).toBe('input')
      }
      expect(readdirSync(join(dir, 'work')), `round ${round}`).toEqual([])
      expect(readdirSync(dir).sort()).toEqual(['canary', 'work'])
      expect(await readTree(join(dir, 'canary'))).toEqual({ file: 'untouched' })
    }
    expect(unpacked, 'some are good').toBeGreaterThan(rounds / 50)
    expect(unpacked, 'some are bad').toBeLessThan(rounds)
  })
})
