import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type FakeRegistry, startRegistry } from '../../helpers/registry.ts'
import { type Machine, addRunImage, machine } from './line.ts'
import { readable, secret, unreadable } from './spoil.ts'

// Group P of the hostile inputs where images are read and written: nothing is published, and nothing is half-written.

/** What each binary reads, and what it exits with when that is bad. */
const documents = [
  { binary: 'analyzer', file: 'run.toml', wrong: 'images = 1', status: 1 },
  { binary: 'restorer', file: 'layers/group.toml', wrong: 'group = 1', status: 1 },
  { binary: 'restorer', file: 'layers/analyzed.toml', wrong: 'run-image = 1', status: 1 },
  { binary: 'exporter', file: 'layers/group.toml', wrong: 'group = 1', status: 1 },
  { binary: 'exporter', file: 'layers/analyzed.toml', wrong: 'run-image = 1', status: 1 },
  { binary: 'exporter', file: 'layers/project-metadata.toml', wrong: 'source = 1', status: 1 },
  { binary: 'exporter', file: 'layers/config/metadata.toml', wrong: 'processes = 1', status: 62 },
  { binary: 'exporter', file: 'layers/test_app/modules.toml', wrong: 'types = 1', status: 62 },
  { binary: 'exporter', file: 'layers/test_app/store.toml', wrong: 'metadata = 1', status: 62 },
] as const

/** All phases before a binary have run; what it writes is not there yet. */
async function upTo(binary: string): Promise<{ m: Machine; registry: FakeRegistry; image: string }> {
  const registry = await startRegistry()
  onTestFinished(() => registry.close())
  await addRunImage(registry, 'run')
  const m = await machine('0.15', {
    'run.toml': `[[images]]\nimage = "${registry.host}/run"\n`,
    'layers/project-metadata.toml': '[source]\ntype = "git"\n',
  })
  const image = `${registry.host}/app`
  for (const name of ['analyzer', 'detector', 'restorer', 'builder']) {
    if (name === binary) break
    const { status, said } = await m.run(name, name === 'analyzer' ? [image] : [])
    if (status !== 0) throw new Error(`${name}: ${said}`)
  }
  return { m, registry, image }
}

describe.each(documents)('$binary reads $file', ({ binary, file, wrong, status }) => {
  const written = { analyzer: 'layers/analyzed.toml', restorer: undefined, exporter: 'layers/report.toml' }[binary]

  it('P01-P12 refuses by name what it cannot read, and takes what it can', { timeout: 60_000 }, async () => {
    const { m, registry, image } = await upTo(binary)
    const args = binary === 'restorer' ? [] : [image]
    const text = await m.read(file)
    const path = m.path(file)
    for (const [what, spoil] of unreadable(text, wrong)) {
      await spoil(path)
      const { status: code, said } = await m.run(binary, args)
      expect([what, code], said).toEqual([what, status])
      const lines = said.trimEnd().split('\n')
      expect(lines.filter(line => line.startsWith('ERROR: '))).toEqual([lines.at(-1)])
      expect(lines.at(-1), what).toContain(file)
      expect(said).not.toContain(secret)
      if (written !== undefined) expect(existsSync(m.path(written)), what).toBe(false)
      expect([...registry.manifests.keys()].filter(name => name.startsWith('app'))).toEqual([])
      await rm(path, { recursive: true })
      await writeFile(path, text)
    }
    for (const [what, content] of readable(text)) {
      await writeFile(path, content)
      const { status: code, said } = await m.run(binary, args)
      expect([what, code], said).toEqual([what, 0])
    }
  })
})
