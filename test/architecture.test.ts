import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { circlesIn, type Import, importsOf, violation } from './helpers/architecture.ts'

// The rules that hold the rooms of the tree apart are in helpers/architecture.ts. Here the whole tree is held against them,
// and the rules against imports that they must refuse.

const root = resolve(import.meta.dirname, '..')
const parts = ['lifecycle', 'buildpacks', 'distribution', 'scripts', 'bench']

function sources(dir: string): string[] {
  return readdirSync(join(root, dir), { recursive: true, encoding: 'utf8' })
    .filter(
      f => /\.(ts|mts|mjs)$/.test(f) && !f.endsWith('.d.ts') && !f.endsWith('.d.mts') && !f.includes('node_modules'),
    )
    .map(f => join(dir, f))
}

const files = parts.flatMap(sources).filter(f => !f.includes('compression/deflate/assembly/')) // AssemblyScript
const text = (file: string): string => readFileSync(join(root, file), 'utf8')

/** Relative imports as paths from the root. */
function resolved(file: string): Import[] {
  return importsOf(text(file)).map(i => ({
    ...i,
    target: i.specifier.startsWith('.') ? relative(root, resolve(root, dirname(file), i.specifier)) : i.specifier,
  }))
}

describe('imports', () => {
  it('finds the sources of each part', () => {
    for (const part of parts) expect(files.filter(f => f.startsWith(`${part}/`)).length, part).toBeGreaterThan(4)
    expect(
      readdirSync(join(root, 'stacks'), { recursive: true, encoding: 'utf8' }).filter(f => f.endsWith('.ts')),
    ).toEqual([])
  })

  it.each(files)('of %s go inwards only', file => {
    expect(resolved(file).flatMap(i => violation(file, i) ?? [])).toEqual([])
  })

  it('form no circle', () => {
    const graph = new Map(files.map(file => [file, resolved(file).map(({ target }) => target)]))
    expect(circlesIn(graph)).toEqual([])
  })

  it('form a circle where one is', () => {
    const graph = (text: string) => new Map(text.split(' ').map(pair => [pair.slice(0, 1), pair.slice(2).split(',')]))
    expect(circlesIn(graph('a:b b:c c:d d:b,x e:e'))).toEqual([['b', 'c', 'd']])
    expect(circlesIn(graph('a:b,c b:d c:d d:x'))).toEqual([])
    expect(circlesIn(graph('a:b b:a c:d,a d:c'))).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ])
  })

  // One that must be refused from each room, and of each rule.
  it.each([
    ['lifecycle/errors.ts', 'lifecycle/events.ts'],
    ['lifecycle/spec/plan.ts', 'lifecycle/image/digest.ts'],
    ['lifecycle/spec/plan.ts', 'node:fs'],
    ['lifecycle/spec/plan.ts', 'node:fs/promises'],
    ['lifecycle/image/image.ts', 'lifecycle/layers/tree/pack.ts'],
    ['lifecycle/image/image.ts', 'node:net'],
    ['lifecycle/files/lock.ts', 'lifecycle/spec/ids.ts'],
    ['lifecycle/layers/workers/pool.ts', 'lifecycle/layers/compression/deflate/index.ts'],
    ['lifecycle/layers/workers/pool.ts', 'lifecycle/layers/tasks.ts'],
    ['lifecycle/layers/tar/reader.ts', 'lifecycle/layers/tree/walk.ts'],
    ['lifecycle/layers/tar/reader.ts', 'lifecycle/layers/compression/gzip.ts'],
    ['lifecycle/layers/tree/pack.ts', 'lifecycle/stores/store.ts'],
    ['lifecycle/stores/copy.ts', 'lifecycle/caches/cache.ts'],
    ['lifecycle/stores/copy.ts', 'lifecycle/engines/engine.ts'],
    ['lifecycle/caches/build-cache.ts', 'lifecycle/phases/export.ts'],
    ['lifecycle/engines/engine.ts', 'lifecycle/stores/store.ts'],
    ['lifecycle/stacks/create.ts', 'lifecycle/stores/store.ts'],
    ['lifecycle/stacks/create.ts', 'lifecycle/platform/stack.ts'],
    ['lifecycle/phases/export.ts', 'lifecycle/engines/engine.ts'],
    ['lifecycle/phases/export.ts', 'lifecycle/pipeline.ts'],
    ['lifecycle/phase-runner.ts', 'lifecycle/pipeline.ts'],
    ['lifecycle/pipeline.ts', 'lifecycle/platform/build-app.ts'],
    ['lifecycle/platform/build-app.ts', 'lifecycle/cli/context.ts'],
    ['lifecycle/index.ts', 'lifecycle/cli/context.ts'],
    ['lifecycle/cli/phase/creator.ts', 'lifecycle/platform/build-app.ts'],
    ['lifecycle/cli/phase/log.ts', 'lifecycle/cli/render/plain.ts'],
    ['lifecycle/cli/phase/log.ts', 'lifecycle/cli/commands/build.ts'],
    ['lifecycle/platform/stack.ts', 'stacks/create.ts'],
    ['lifecycle/platform/stack.ts', 'distribution/node.ts'],
    ['lifecycle/platform/stack.ts', 'buildpacks/sdk/index.ts'],
    ['buildpacks/python/python.ts', 'lifecycle/stores/store.ts'],
    ['buildpacks/python/python.ts', 'lifecycle/phases/build.ts'],
    ['buildpacks/python/python.ts', 'buildpacks/nodejs/version.ts'],
    ['buildpacks/sdk/index.ts', 'buildpacks/python/python.ts'],
    ['buildpacks/sdk/index.ts', 'distribution/node.ts'],
    ['distribution/main.ts', 'bench/index.ts'],
    ['distribution/main.ts', 'test/helpers/tar.ts'],
    ['scripts/start.mjs', 'lifecycle/index.ts'],
    ['scripts/setup.mjs', 'esbuild'],
    ['bench/index.ts', 'distribution/main.ts'],
    ['lifecycle/stores/archive/tar-file.ts', 'tar-stream'],
    ['lifecycle/layers/tar/reader.ts', 'tar-stream'],
    ['lifecycle/platform/publish.ts', 'undici'],
    ['lifecycle/platform/publish.ts', 'commander'],
    ['lifecycle/spec/plan.ts', '@iarna/toml'],
    ['buildpacks/python/python.ts', '@iarna/toml/lib/toml-parser.js'],
    ['lifecycle/unknown-room/file.ts', 'lifecycle/errors.ts'],
  ])('from %s to %s are refused', (file, target) => {
    const specifier =
      target.includes('/') && !target.startsWith('node:') && !target.startsWith('@') ? `./${target}` : target
    expect(violation(file, { specifier, target, dynamic: false })).toBeTypeOf('string')
  })

  it.each([
    ["import { a } from './a.ts'", './a.ts', false],
    ["import type { A } from './a.ts'", './a.ts', false],
    ["import './a.ts'", './a.ts', false],
    ["export * from './a.ts'", './a.ts', false],
    ["export {\n  a,\n} from './a.ts'", './a.ts', false],
    ["const a = await import('./a.ts')", './a.ts', true],
  ])('are found in %s', (line, specifier, dynamic) => {
    expect(importsOf(`// first\n${line}\n`)).toEqual([{ specifier, target: specifier, dynamic }])
  })
})

describe('pure rooms', () => {
  const pure = files.filter(f => /^lifecycle\/(spec|image)\//.test(f))
  it.each(pure)('%s uses no clock and nothing of the process', file => {
    expect(text(file)).not.toMatch(/\bDate\.now\(|new Date\(\)|\bprocess\.(?:env|cwd|exit|argv|hrtime|stdout|stderr)\b/)
  })
})

it('no type of lifecycle/ has the name of another', () => {
  const types = files
    .filter(file => file.startsWith('lifecycle/'))
    .flatMap(file =>
      [...text(file).matchAll(/^export (?:abstract )?(?:interface|type|class) (\w+)/gm)].map(m => m[1] ?? ''),
    )
  expect(types.length).toBeGreaterThan(200)
  expect(types.filter((name, i) => types.indexOf(name) !== i)).toEqual([])
})
