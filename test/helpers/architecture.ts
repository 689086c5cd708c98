// The rooms of the tree, and which may import from which. docs/architecture.md has the picture.

/** An import as it is written, and the path from the root that it leads to. */
export interface Import {
  readonly specifier: string
  readonly target: string
  readonly dynamic: boolean
}

/** Rooms of lifecycle/ by rank: a file imports from its own room and from rooms of lower rank. */
const ranks: Readonly<Record<string, number>> = {
  'errors.ts': 0,
  'version.ts': 0,
  'concurrency.ts': 0,
  'events.ts': 1,
  processes: 1,
  files: 1.5,
  'event-stream.ts': 2,
  spec: 2,
  image: 3,
  layers: 4,
  engines: 5,
  stores: 5,
  stacks: 5,
  caches: 6,
  phases: 7,
  'phase-runner.ts': 8,
  'pipeline.ts': 9,
  platform: 10,
  'index.ts': 11,
  cli: 12,
}

/** Imports that are forbidden although the rank allows them. */
const forbidden: readonly (readonly [from: RegExp, to: RegExp, why: string])[] = [
  [/^lifecycle\/phases\//, /^lifecycle\/engines\//, 'a phase does not know where it runs'],
  [/^lifecycle\/stacks\//, /^lifecycle\/layers\//, 'stacks are made by mmdebstrap, not of layers'],
  [/^lifecycle\/cli\/phase/, /^lifecycle\/platform\//, 'a phase binary is not a platform'],
  [/^lifecycle\/cli\/phase/, /^lifecycle\/cli\/(render|commands)\//, 'a phase binary has its own log'],
  [
    /^lifecycle\/cli\/(render|commands)\//,
    /^lifecycle\/cli\/phase/,
    'the command line runs no phase binary in its process',
  ],
  [/^lifecycle\/image\//, /^lifecycle\/files\//, 'images are values'],
  [/^lifecycle\/spec\//, /^lifecycle\/files\//, 'the specification is pure'],
  [/^lifecycle\/layers\/workers\//, /^lifecycle\/layers\/(?!workers\/)/, 'the pool knows nothing of its tasks'],
  [
    /^lifecycle\/layers\/tar\//,
    /^lifecycle\/layers\/(?!tar\/|workers\/)/,
    'the tar format is below trees and compression',
  ],
]

/** Libraries, and the only place that uses each. */
const libraries: Readonly<Record<string, RegExp>> = {
  '@iarna/toml': /^lifecycle\/spec\/toml[^/]*\.ts$/,
  'tar-stream': /^(lifecycle\/stacks\/|distribution\/|bench\/|lifecycle\/stores\/archive\/docker\.ts$)/,
  undici: /^lifecycle\/(stores\/|platform\/kubernetes\/kubernetes-client\.ts$)/,
  '@kubernetes/client-node': /^lifecycle\/platform\/kubernetes\/kubernetes-client\.ts$/,
  aws4fetch: /^lifecycle\/caches\/storage\//,
  '@redis/client': /^lifecycle\/caches\/storage\//,
  commander: /^lifecycle\/cli\//,
}

const pureModules = ['node:crypto', 'node:util', 'node:buffer', 'node:path']

/** Returns the reason why an import is forbidden; undefined if it is allowed. */
export function violation(file: string, { specifier, target }: Import): string | undefined {
  const why = refusal(file, specifier, target)
  return why && `${file} imports ${target}: ${why}`
}

function refusal(file: string, specifier: string, target: string): string | undefined {
  const part = file.split('/')[0] ?? ''
  if (!specifier.startsWith('.')) return library(file, part, specifier)
  const other = target.split('/')[0] ?? ''
  switch (part) {
    case 'lifecycle':
      return other === 'lifecycle' ? direction(file, target) : 'lifecycle imports nothing of the other parts'
    case 'buildpacks':
      return buildpack(file, target)
    case 'distribution':
      return ['distribution', 'lifecycle', 'buildpacks', 'scripts'].includes(other)
        ? undefined
        : 'distribution ships the product alone'
    case 'scripts':
      // The conformance table is made from the tests.
      if (file === 'scripts/conformance.mjs' && target.startsWith('test/conformance/')) return undefined
      return other === 'scripts' ? undefined : 'scripts run before anything is built'
    case 'bench':
      return ['bench', 'lifecycle', 'test', 'scripts'].includes(other) ? undefined : 'bench measures the lifecycle'
    default:
      return 'an unknown part of the tree'
  }
}

function direction(file: string, target: string): string | undefined {
  const rule = forbidden.find(([from, to]) => from.test(file) && to.test(target))
  if (rule !== undefined) return rule[2]
  const [own, other] = [roomOf(file), roomOf(target)]
  const [rank, otherRank] = [ranks[own], ranks[other]]
  if (rank === undefined) return `the room ${own} has no rank`
  if (otherRank === undefined) return `the room ${other} has no rank`
  return own === other || otherRank < rank ? undefined : `${other} does not lie inside of ${own}`
}

/** A buildpack uses the SDK, what buildpacks share, and the inner rooms of lifecycle/; never another language. */
function buildpack(file: string, target: string): string | undefined {
  const shared = ['sdk', 'debian', 'npm', 'mise']
  const [, own = ''] = file.split('/')
  const [part, other = ''] = target.split('/')
  if (part === 'lifecycle')
    return /^lifecycle\/(errors\.ts$|files\/|spec\/|image\/)/.test(target)
      ? undefined
      : 'buildpacks use inner rooms only'
  if (part !== 'buildpacks') return 'buildpacks ship by themselves'
  if (own === 'sdk') return other === 'sdk' ? undefined : 'the SDK knows no language'
  return other === own || shared.includes(other) ? undefined : 'a language does not know another one'
}

function library(file: string, part: string, specifier: string): string | undefined {
  // Set-up runs before dependencies are installed.
  if (file === 'scripts/setup.mjs' && !specifier.startsWith('node:')) return 'set-up uses Node alone'
  if (/^lifecycle\/(spec|image)\//.test(file) && specifier.startsWith('node:') && !pureModules.includes(specifier))
    return 'the room is pure: no files, network, process or clock'
  const name = Object.keys(libraries).find(l => specifier === l || specifier.startsWith(`${l}/`))
  if (name === undefined || part === 'scripts') return undefined
  return libraries[name]?.test(file) ? undefined : `${name} is used in one place only`
}

const roomOf = (file: string): string => file.split('/')[1] ?? ''

/** The imports and re-exports of a source text, dynamic ones included. */
export function importsOf(source: string): Import[] {
  const pattern =
    /(?:^|[\s;])(?:import|export)\s[^'"]*?from\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)|^import\s+['"]([^'"]+)['"]/gm
  return [...source.matchAll(pattern)].map(m => {
    const specifier = (m[1] ?? m[2] ?? m[3]) as string
    return { specifier, target: specifier, dynamic: m[2] !== undefined }
  })
}

/**
 * Groups of files that import each other in a circle, each sorted: its files cannot be read in any order.
 * @param graph the imports of each file (Tarjan, "Depth-first search and linear graph algorithms", 1972)
 */
export function circlesIn(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const circles: string[][] = []
  const order = new Map<string, number>()
  const stack: string[] = []
  const visit = (file: string): number => {
    const own = order.size
    order.set(file, own)
    stack.push(file)
    let low = own
    for (const target of graph.get(file) ?? []) {
      if (!order.has(target)) low = Math.min(low, visit(target))
      else if (stack.includes(target)) low = Math.min(low, order.get(target) ?? own)
    }
    if (low === own) {
      const members = stack.splice(stack.indexOf(file))
      if (members.length > 1) circles.push(members.toSorted())
    }
    return low
  }
  for (const file of graph.keys()) if (!order.has(file)) visit(file)
  return circles.toSorted((a, b) => (a[0] ?? '').localeCompare(b[0] ?? ''))
}
