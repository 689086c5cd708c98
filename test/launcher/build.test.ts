/** What `launcher/build` makes: small, static, the same bytes each time. */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { suiteWith } from '../helpers/skip.ts'
import { compiled, dist } from './harness.ts'

const work = mkdtempSync(join(tmpdir(), 'launcher-build-'))
afterAll(() => rmSync(work, { recursive: true, force: true }))

function buildElsewhere(): string {
  const folder = join(work, 'a longer name')
  cpSync(join(dist, '..'), join(folder, 'launcher'), {
    recursive: true,
    filter: path => path !== dist && !path.startsWith(`${dist}/`),
  })
  cpSync(join(dist, '../../package.json'), join(folder, 'package.json'))
  const env = { ...process.env, TZ: 'Asia/Tokyo', LC_ALL: 'C' }
  execFileSync(join(folder, 'launcher/build'), { stdio: ['ignore', 'ignore', 'inherit'], env })
  return join(folder, 'launcher/dist')
}

suiteWith('launcher/build', compiled, built => {
  it('makes the same bytes in another place at another time', () => {
    const elsewhere = buildElsewhere()
    for (const arch of built) {
      const [here, there] = [dist, elsewhere].map(folder => readFileSync(join(folder, `launcher-linux-${arch}`)))
      expect(here?.equals(there ?? Buffer.alloc(0)), arch).toBe(true)
      expect(there?.includes(work)).toBe(false)
    }
  })

  it('does nothing when nothing changed', () => {
    const before = built.map(arch => statSync(join(dist, `launcher-linux-${arch}`)).mtimeMs)
    execFileSync(join(dist, '../build'))
    expect(built.map(arch => statSync(join(dist, `launcher-linux-${arch}`)).mtimeMs)).toEqual(before)
  })

  for (const arch of built)
    it(`${arch}: under 100 KB, and needs no loader`, () => {
      const bytes = readFileSync(join(dist, `launcher-linux-${arch}`))
      expect(bytes.length).toBeLessThan(100_000)
      const [at, size, count] = [Number(bytes.readBigUInt64LE(32)), bytes.readUInt16LE(54), bytes.readUInt16LE(56)]
      const types = Array.from({ length: count }, (_, i) => bytes.readUInt32LE(at + i * size))
      expect(types).not.toContain(3) // PT_INTERP
      expect(types).not.toContain(2) // PT_DYNAMIC
      const flags = Array.from({ length: count }, (_, i) => bytes.readUInt32LE(at + i * size + 4))
      expect(flags.some(flag => (flag & 3) === 3)).toBe(false) // nothing is both writable and executable
    })
})
