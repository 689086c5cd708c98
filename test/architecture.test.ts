import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { describe, expect, it } from 'vitest'

// The rooms of lifecycle/, inner ones first. A file imports from its own room and from rooms of lower rank only;
// rooms of one rank know each other only where `friends` says so.
const ranks: Record<string, number> = {
  'errors.ts': 0,
  'events.ts': 0.5,
  'version.ts': 0,
  files: 0.5,
  'event-stream.ts': 0.7,
  spec: 1,
  image: 2,
  layers: 3,
  stores: 3,
  caches: 3,
  engines: 3,
  phases: 4,
  'phase-runner.ts': 4.5,
  'pipeline.ts': 4.6,
  platform: 5,
  'index.ts': 6,
  cli: 7,
}
// Stores and caches are made of layers' bytes: they use the room that packs and unpacks them.
// A cache can be an image in a store.
// Engines clear away what a program wrote, as hostile as a layer.
const friends = new Set(['stores>layers', 'caches>layers', 'caches>stores', 'engines>layers'])

const root = resolve(import.meta.dirname, '..')
const lifecycle = join(root, 'lifecycle')

function sources(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter(f => f.endsWith('.ts'))
    .map(f => join(dir, f))
}

const room = (file: string): string => relative(lifecycle, file).split(sep)[0] ?? ''

function imports(file: string): string[] {
  const text = readFileSync(file, 'utf8')
  return [
    ...text.matchAll(
      /(?:^|[\s;])(?:import|export)\s[^'"]*?from\s+['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)|^import\s+['"]([^'"]+)['"]/gm,
    ),
  ].map(m => (m[1] ?? m[2] ?? m[3]) as string)
}

describe('import direction', () => {
  const files = sources(lifecycle)
  it('finds the sources', () => expect(files.length).toBeGreaterThan(10))

  it.each(files.map(f => [relative(root, f), f]))('%s imports inwards only', (_name, file) => {
    const own = room(file)
    expect(Object.keys(ranks), 'a new room needs a rank').toContain(own)
    for (const specifier of imports(file)) {
      if (!specifier.startsWith('.')) continue
      const target = resolve(dirname(file), specifier)
      if (!target.startsWith(lifecycle + sep)) continue
      const other = room(target)
      const allowed = other === own || friends.has(`${own}>${other}`) || (ranks[other] ?? 99) < (ranks[own] ?? -1)
      expect(allowed, `${relative(root, file)} imports ${relative(root, target)}`).toBe(true)
    }
  })

  const pure = files.filter(f => ['spec', 'image'].includes(room(f)))
  it.each(pure.map(f => [relative(root, f), f]))('%s is pure: no files, network, process or clock', (_name, file) => {
    const impure = imports(file).filter(
      s => s.startsWith('node:') && !['node:crypto', 'node:util', 'node:buffer', 'node:path'].includes(s),
    )
    expect(impure).toEqual([])
    expect(readFileSync(file, 'utf8')).not.toMatch(
      /\bDate\.now\(|new Date\(\)|\bprocess\.(?:env|cwd|exit|argv|hrtime|stdout|stderr)\b/,
    )
  })

  it.each([
    ['@iarna/toml/lib/toml-parser.js', 'lifecycle/spec/toml-parser.ts'],
    ['tar-stream', 'lifecycle/'],
    ['undici', 'lifecycle/stores/'],
    ['commander', 'lifecycle/cli/'],
  ])('%s is imported under %s only', (library, place) => {
    const users = files.filter(f => imports(f).includes(library)).map(f => relative(root, f))
    expect(users.filter(u => !u.startsWith(place))).toEqual([])
  })
})
