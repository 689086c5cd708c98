/** What `launcher/build` makes: small, static, the same bytes each time. */
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { dist } from './harness.ts'

const work = mkdtempSync(join(tmpdir(), 'launcher-build-'))
afterAll(() => rmSync(work, { recursive: true, force: true }))

function buildElsewhere(name: string): string {
  const folder = join(work, name)
  cpSync(join(dist, '..'), folder, { recursive: true, filter: path => path !== dist && !path.startsWith(`${dist}/`) })
  execFileSync(join(folder, 'build'), { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, TZ: name, LC_ALL: 'C' } })
  return folder
}

describe.skipIf(!existsSync(dist))('launcher/build (skipped without gcc)', () => {
  const built = ['amd64', 'arm64'].filter(arch => existsSync(join(dist, `launcher-linux-${arch}`)))

  it('makes the same bytes in another place at another time', () => {
    const [one, two] = [buildElsewhere('a'), buildElsewhere('b/much/longer')]
    for (const arch of built) {
      const bytes = [one, two, join(dist, '..')].map(folder => readFileSync(join(folder, 'dist', `launcher-linux-${arch}`)))
      expect(bytes[0]?.equals(bytes[1] ?? Buffer.alloc(0)), arch).toBe(true)
      expect(bytes[0]?.includes(work)).toBe(false)
      if (!process.env.LAUNCHER_VERSION) expect(bytes[0]?.equals(bytes[2] ?? Buffer.alloc(0)), arch).toBe(true)
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
