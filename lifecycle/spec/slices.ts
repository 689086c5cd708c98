import { BaleError } from '../errors.ts'
import { quote } from './read.ts'
import type { Slice } from './types.ts'

/** Slices of the app directory (buildpack.md, "launch.toml"), with the pattern syntax of Go's filepath.Match. */

// A pattern is a list of chunks, some preceded by a `*`. A chunk is a list of units that match one character each.
interface Chunk {
  readonly star: boolean
  readonly units: readonly Unit[]
}
type Unit = { readonly char: string } | 'any' | { readonly not: boolean; readonly ranges: readonly [string, string][] }

/** Go's ErrBadPattern. */
class BadPattern extends Error {}

/**
 * Matches like Go's filepath.Match: `*` matches any characters except `/`, `?` one of them, `[a-z]` and `[^a-z]` one of a class, `\`
 * escapes the next character. No `**`, no braces. The full name must match.
 * @throws BaleError 'input' for a malformed pattern
 */
export function matchPath(pattern: string, name: string): boolean {
  const chunks = compile(pattern)
  if (chunks) return matchChunks(chunks, [...name])
  throw new BaleError('input', `${quote(pattern)} is malformed`, { fix: malformedFix })
}

const malformedFix = 'close each [ with a ], put characters between them, and do not end a pattern with a backslash'

function compile(pattern: string): readonly Chunk[] | undefined {
  try {
    return parse([...pattern])
  } catch (error) {
    if (error instanceof BadPattern) return undefined
    throw error
  }
}

function parse(chars: readonly string[]): readonly Chunk[] {
  const chunks: { star: boolean; units: Unit[] }[] = []
  let chunk: { star: boolean; units: Unit[] } = { star: false, units: [] }
  for (let at = 0; at < chars.length;) {
    const char = chars[at++] as string
    if (char === '*') {
      if (chunk.star && chunk.units.length === 0) continue
      if (chunk.units.length > 0) chunks.push(chunk)
      chunk = { star: true, units: [] }
    } else if (char === '?') chunk.units.push('any')
    else if (char === '[') {
      const [unit, after] = parseClass(chars, at)
      chunk.units.push(unit)
      at = after
    } else if (char === '\\') chunk.units.push({ char: chars[at++] ?? bad() })
    else chunk.units.push({ char })
  }
  return [...chunks, chunk]
}

function bad(): never {
  throw new BadPattern()
}

function parseClass(chars: readonly string[], start: number): [Unit, number] {
  let at = start
  const not = chars[at] === '^'
  if (not) at++
  const ranges: [string, string][] = []
  const character = (): string => {
    const char = chars[at++] ?? bad()
    if (char === '-' || char === ']') bad()
    return char === '\\' ? (chars[at++] ?? bad()) : char
  }
  while (chars[at] !== ']' || ranges.length === 0) {
    const low = character()
    let high = low
    if (chars[at] === '-') {
      at++
      high = character()
    }
    ranges.push([low, high])
  }
  return [{ not, ranges }, at + 1]
}

/**
 * Puts each chunk as far left as possible, without backtracking, so that the time is at most the product of the two lengths
 * for any pattern. Go does the same, which matters if a class matches `/`.
 */
function matchChunks(chunks: readonly Chunk[], name: readonly string[]): boolean {
  let at = 0
  for (const [i, chunk] of chunks.entries()) {
    const isLast = i === chunks.length - 1
    if (isLast && chunk.star && chunk.units.length === 0) return !name.includes('/', at)
    for (;;) {
      const after = matchUnits(chunk.units, name, at)
      if (after !== undefined && (!isLast || after === name.length)) {
        at = after
        break
      }
      if (!chunk.star || at >= name.length || name[at] === '/') return false
      at++
    }
  }
  return at === name.length
}

function matchUnits(units: readonly Unit[], name: readonly string[], start: number): number | undefined {
  let at = start
  for (const unit of units) {
    const char = name[at++]
    if (char === undefined || !matchUnit(unit, char)) return undefined
  }
  return at
}

function matchUnit(unit: Unit, char: string): boolean {
  if (unit === 'any') return char !== '/'
  if ('char' in unit) return unit.char === char
  const code = char.codePointAt(0) as number
  const inClass = unit.ranges.some(
    ([low, high]) => (low.codePointAt(0) ?? 0) <= code && code <= (high.codePointAt(0) ?? 0),
  )
  return inClass !== unit.not
}

/** Returns the problem with a slice's pattern, as far as it can be found without the app directory. */
export function slicePatternProblem(pattern: string): string | undefined {
  if (!pattern.startsWith('/') && insideApp(pattern) === undefined) return 'leaves the application directory'
  return compile(pattern) ? undefined : 'is malformed'
}

/** Normalises a pattern: removes `.`, `..` and empty parts. Returns undefined if it leaves its directory. */
function insideApp(pattern: string): string | undefined {
  const parts: string[] = []
  for (const part of pattern.split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') parts.push(part)
    else if (parts.pop() === undefined) return undefined
  }
  return parts.join('/')
}

export interface SliceAssignment {
  /** The paths of each slice, in the given order. */
  readonly slices: readonly (readonly string[])[]
  /** The paths that match no slice. */
  readonly rest: readonly string[]
}

/**
 * Assigns the app's files to slices. Each slice sees the files that earlier slices left. A matching directory takes everything
 * below it.
 * @param paths files and directories, relative to the app, each after its parent directory
 * @param appDir absolute: patterns may be absolute within it
 * @throws BaleError 'input' for a pattern that is malformed or leaves the app, with the name of its slice
 */
export function assignSlices(paths: readonly string[], slices: readonly Slice[], appDir: string): SliceAssignment {
  let rest = paths
  let work = 0
  const taken = slices.map((slice, i) => {
    if (slice.paths.length === 0) return []
    const patterns = sortPatterns(slice, appDir, `slices[${i}]`)
    work += (patterns.globs.length + 1) * rest.length
    if (work > maxWork)
      throw new BaleError('input', `too many slices and patterns for ${paths.length} files`, {
        where: `slices[${i}].paths`,
        fix: 'name directories instead of their files',
      })
    const own = new Set<string>()
    const left: string[] = []
    for (const path of rest) {
      if (own.has(parentOf(path)) || matchesAny(patterns, path)) own.add(path)
      else left.push(path)
    }
    rest = left
    return [...own]
  })
  return { slices: taken, rest }
}

/**
 * The most match attempts: one for each file and slice, and one more for each pattern of the slice that is not a plain name.
 */
const maxWork = 50_000_000

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')))

interface SlicePatterns {
  readonly all: boolean
  /** Patterns that are plain names, as most are. */
  readonly names: ReadonlySet<string>
  readonly globs: readonly (readonly Chunk[])[]
}

function sortPatterns(slice: Slice, appDir: string, where: string): SlicePatterns {
  const names = new Set<string>()
  const globs: (readonly Chunk[])[] = []
  slice.paths.forEach((pattern, i) => {
    const place = `${where}.paths[${i}]`
    const chunks = compile(relativeToApp(pattern, appDir, place))
    if (!chunks) throw new BaleError('input', `${quote(pattern)} is malformed`, { where: place, fix: malformedFix })
    const name = plainName(chunks)
    if (name === undefined) globs.push(chunks)
    else names.add(name)
  })
  return { all: names.has(''), names, globs }
}

function matchesAny({ all, names, globs }: SlicePatterns, path: string): boolean {
  if (all || names.has(path)) return true
  if (globs.length === 0) return false
  const name = [...path]
  return globs.some(chunks => matchChunks(chunks, name))
}

/** Returns the only name that a pattern without wildcards matches. */
function plainName(chunks: readonly Chunk[]): string | undefined {
  const [only] = chunks
  if (chunks.length !== 1 || !only || only.star) return undefined
  const characters = only.units.map(unit => (unit !== 'any' && 'char' in unit ? unit.char : undefined))
  return characters.includes(undefined) ? undefined : characters.join('')
}

/** Returns the pattern in the form of paths. Empty for the app itself. */
function relativeToApp(pattern: string, appDir: string, where: string): string {
  const root = appDir.replace(/\/+$/, '')
  const isInApp = pattern === root || pattern.startsWith(`${root}/`)
  const relative = isInApp ? pattern.slice(root.length) : pattern
  const inside = pattern.startsWith('/') && !isInApp ? undefined : insideApp(relative)
  if (inside !== undefined) return inside
  throw new BaleError('input', `${quote(pattern)} leaves the application directory`, {
    where,
    fix: 'write a path relative to the application directory',
  })
}
