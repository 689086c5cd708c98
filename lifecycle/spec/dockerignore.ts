/** One line of .dockerignore. */
export interface DockerignoreRule {
  /** Matches a path from the root, without a slash at the start. */
  readonly pattern: RegExp
  /** `!`: matching paths stay. */
  readonly keeps: boolean
}

/**
 * Parses .dockerignore like Docker (docs.docker.com/build/concepts/context, ".dockerignore files"): patterns are anchored to the
 * root, `**` matches any number of directories, `!` makes an exception, and the last match decides.
 */
export function parseDockerignore(text: string): DockerignoreRule[] {
  return text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .map(line => line.trim())
    .filter(line => line !== '' && !line.startsWith('#'))
    .map(line => {
      const keeps = line.startsWith('!')
      return { pattern: patternOf(keeps ? line.slice(1).trim() : line), keeps }
    })
}

/** Returns whether the rules exclude a path. A rule that matches a parent directory matches the path. */
export function isIgnoredByDocker(rules: readonly DockerignoreRule[], path: string): boolean {
  const parts = path.split('/')
  const paths = parts.map((_, i) => parts.slice(0, i + 1).join('/'))
  let ignored = false
  for (const { pattern, keeps } of rules) if (paths.some(p => pattern.test(p))) ignored = !keeps
  return ignored
}

function patternOf(text: string): RegExp {
  const clean = text
    .split('/')
    .filter(part => part !== '' && part !== '.')
    .join('/')
  let source = ''
  for (let at = 0; at < clean.length; at++) {
    const rest = clean.slice(at)
    const [token, regex] = nextToken(rest)
    source += regex
    at += token.length - 1
  }
  return new RegExp(`^${source}$`, 'su')
}

function nextToken(rest: string): [token: string, regex: string] {
  if (rest.startsWith('**/')) return ['**/', '(?:.*/)?']
  if (rest.startsWith('**')) return ['**', '.*']
  if (rest.startsWith('*')) return ['*', '[^/]*']
  if (rest.startsWith('?')) return ['?', '[^/]']
  const set = /^\[(\^?)((?:\\.|[^\]\\])+)\]/su.exec(rest)
  if (set !== null) return [set[0], `[${set[1]}${escapeSet(set[2] ?? '')}]`]
  const escaped = /^\\(.)/su.exec(rest)
  if (escaped !== null) return [escaped[0], escapeLiteral(escaped[1] ?? '')]
  const character = String.fromCodePoint(rest.codePointAt(0) ?? 0)
  return [character, escapeLiteral(character)]
}

const escapeLiteral = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/gu, '\\$&')
const escapeSet = (text: string): string => text.replace(/\\(.)/gsu, '$1').replace(/[\\\]^[&~|]/gu, '\\$&')
