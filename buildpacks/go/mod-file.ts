import type { App } from '../sdk/index.ts'

/** A word of a go.mod or go.work, and its place: `1.22` at `go.mod:3`. */
export interface Directive {
  readonly value: string
  readonly where: string
}

/** The parts of a go.mod or go.work that this buildpack reads (go.dev/ref/mod, "go.mod files" and "go.work files"). */
export interface ModFile {
  readonly module: Directive | undefined
  /** The oldest Go that can build it. */
  readonly go: Directive | undefined
  /** The Go that its authors use: `go1.24.1`. */
  readonly toolchain: Directive | undefined
  /** The modules of a workspace. */
  readonly use: readonly Directive[]
  /** Heroku's comments: `// +heroku goVersion go1.24`, `// +heroku install ./cmd/...`. */
  readonly heroku: Readonly<Record<string, Directive>>
}

/** undefined if the file does not exist. */
export async function readModFile(app: App, name: string): Promise<ModFile | undefined> {
  const text = await app.read(name)
  return text === undefined ? undefined : parseModFile(text, name)
}

/** Reads the parts that are needed before a Go is available to read it. The Go command finds all other errors. */
function parseModFile(text: string, name: string): ModFile {
  const found: Record<string, Directive[]> = {}
  const heroku: Record<string, Directive> = {}
  let block: string | undefined
  for (const [index, line] of text.split('\n').entries()) {
    const where = `${name}:${index + 1}`
    const comment = /\/\/\s*\+heroku\s+(\w+)\s+(.*)/.exec(line)
    if (comment?.[1] !== undefined) heroku[comment[1]] ??= { value: (comment[2] ?? '').trim(), where }
    const words = line.replace(/\/\/.*/, '').match(/"[^"]*"|`[^`]*`|[^\s()]+|[()]/g) ?? []
    const [first, second] = words
    if (first === undefined) continue
    if (first === ')') block = undefined
    else if (second === '(' && block === undefined) block = first
    else {
      const [verb, value] = block === undefined ? [first, second] : [block, first]
      if (value !== undefined) (found[verb] ??= []).push({ value: value.replaceAll(/["`]/g, ''), where })
    }
  }
  const first = (verb: string) => found[verb]?.[0]
  return {
    module: first('module'),
    go: first('go'),
    toolchain: first('toolchain'),
    use: found['use'] ?? [],
    heroku,
  }
}
