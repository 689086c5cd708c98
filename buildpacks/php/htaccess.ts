import { readdir } from 'node:fs/promises'
import { posix } from 'node:path'
import type { App } from '../sdk/index.ts'
import { expressionOf, globExpression } from './apache-pattern.ts'

/** The effect of .htaccess files, which nginx does not read, on the served directory. */
export interface Htaccess {
  /** Directories with rules, the deepest first: the first one that contains a file decides. */
  readonly scopes: readonly Scope[]
  /** PHP files that are not served although a closed directory grants them: `/plugin/admin.php`. */
  readonly closedPhp: readonly string[]
  /** Files with rules that have no effect. */
  readonly lost: readonly string[]
}

/** The rules of a directory's .htaccess, merged with those of the directories above. */
export interface Scope {
  /** Relative to the served root: `/data/`. */
  readonly dir: string
  /** The directory whose .htaccess closes this one; undefined for an open one. */
  readonly closedBy: string | undefined
  /** For names of files: the first one that matches decides. */
  readonly names: readonly NameRule[]
}

/** A `<Files>` or `<FilesMatch>` block that grants or denies access. */
export interface NameRule {
  /** An expression of PCRE, as Apache and nginx have it, without delimiters and control characters. */
  readonly expression: string
  readonly grants: boolean
  readonly matches: (name: string) => boolean
}

/** Matches the denial of a directory, in the syntax of Apache 2.4 or 2.2. */
const closed = /^\s*(?:Require\s+all\s+denied|Deny\s+from\s+all)\s*$/im
/** The same anywhere in a section. */
const denial = /Require\s+all\s+denied|Deny\s+from\s+all/i
const open = /^\s*(?:Require\s+all\s+granted|Allow\s+from\s+all)\s*$/im
const filesBlock =
  /<(Files|FilesMatch)\s+(~\s+)?(?:"((?:\\.|[^"\\\n])*)"|'((?:\\.|[^'\\\n])*)'|([^\s>"']+))\s*>([\s\S]*?)<\/\1\s*>/gi
/** Sections for some requests only. */
const conditional = /<(Limit|LimitExcept|If|ElseIf|Else)\b[^\n>]*>([\s\S]*?)<\/\1\s*>/gi
const otherSection = /<(Files\w*|Directory\w*)\b[\s\S]*?<\/\1\s*>/gi
/** Rules that do more than passing paths to index.php, as nginx does here. */
const rules =
  /^\s*(?:Redirect\w*|Auth\w+|Require\s+(?!all\s)\S+|RewriteRule\s+(?!.*\bindex\.php\b)(?!\S+\s+-\s).+|Header\s.+|php_(?:value|flag)\s.+)/im

/**
 * Reads the .htaccess files of the served directory. nginx also denies what Apache would deny. The result names files with other rules,
 * for a warning.
 */
export async function readHtaccess(app: App, root: string): Promise<Htaccess> {
  const scopes: Scope[] = []
  const closedPhp: string[] = []
  const lost: string[] = []
  const waiting: Scope[] = [{ dir: '/', closedBy: undefined, names: [] }]
  for (let above = waiting.pop(); above !== undefined; above = waiting.pop()) {
    const { dir } = above
    const entries = await readdir(app.at(root, dir.slice(1)), { withFileTypes: true })
    let scope = above
    if (entries.some(entry => entry.isFile() && entry.name === '.htaccess')) {
      const name = posix.join(root, dir.slice(1), '.htaccess')
      const own = rulesOf((await app.read(name)) ?? '')
      if (own.isLost || (own.isClosed && dir === '/')) lost.push(name)
      scope = merged(above, own)
      if (own.names.length > 0 || scope.closedBy !== above.closedBy) scopes.push(scope)
    }
    for (const entry of entries) {
      if (entry.isDirectory() && entry.name !== 'node_modules' && entry.name !== '.git')
        waiting.push({ ...scope, dir: `${dir}${entry.name}/` })
      if (scope.closedBy !== undefined && entry.isFile() && entry.name.endsWith('.php'))
        if (scope.names.find(({ matches }) => matches(entry.name))?.grants === true)
          closedPhp.push(`${dir}${entry.name}`)
    }
  }
  return {
    scopes: scopes.toSorted((a, b) => b.dir.length - a.dir.length || (a.dir < b.dir ? -1 : 1)),
    closedPhp: closedPhp.toSorted(),
    lost: lost.toSorted(),
  }
}

/** Whether .htaccess denies a path, also one below a PHP file, which runs for it: `/x.php/path`. */
export function isDenied(scopes: readonly Scope[], path: string): boolean {
  const file = /^.+?\.php(?=\/|$)/s.exec(path)?.[0] ?? path
  const scope = scopes.find(({ dir }) => file.startsWith(dir))
  if (scope === undefined) return false
  const isClosed = scope.closedBy !== undefined
  const name = posix.basename(file)
  if (file.endsWith('/') || (isClosed && name.endsWith('.php'))) return isClosed
  const rule = scope.names.find(({ matches }) => matches(name))
  return rule === undefined ? isClosed : !rule.grants
}

interface OwnRules {
  readonly isClosed: boolean
  readonly isOpen: boolean
  readonly isLost: boolean
  /** As in `Scope`: the last block comes first. */
  readonly names: readonly NameRule[]
}

function rulesOf(source: string): OwnRules {
  const text = source
    .replaceAll('\r', '')
    .replaceAll(/\\\n/g, ' ')
    .replaceAll(/^\s*#.*$/gm, '')
  const always = text.replaceAll(conditional, '')
  const names: NameRule[] = []
  let isLost = rules.test(text) || [...text.matchAll(conditional)].some(([section]) => denial.test(section))
  for (const [, kind, tilde, double, single, bare = '', body = ''] of always.matchAll(filesBlock)) {
    if (!open.test(body) && !closed.test(body)) continue
    const argument = double?.replaceAll(/\\([\\"])/g, '$1') ?? single?.replaceAll(/\\([\\'])/g, '$1') ?? bare
    const isExpression = kind?.toLowerCase() === 'filesmatch' || tilde !== undefined
    const expression = isExpression ? argument : globExpression(argument)
    const matcher = expressionOf(expression)
    if (matcher === undefined) isLost = true
    // The last block with a name decides.
    else names.unshift({ expression, grants: open.test(body), matches: name => matcher.test(name) })
  }
  const whole = always.replaceAll(filesBlock, '')
  // A block whose argument has another form.
  isLost ||= [...whole.matchAll(otherSection)].some(([section]) => denial.test(section))
  const rest = whole.replaceAll(otherSection, '')
  return { isClosed: closed.test(rest), isOpen: open.test(rest), isLost, names }
}

/**
 * What an upper directory grants is not granted in a directory that is closed itself. Blocks for names count more than the directory's
 * own rule, and the deeper block more than the upper one (httpd.apache.org, "How the sections are merged").
 */
function merged(above: Scope, { isClosed, isOpen, names }: OwnRules): Scope {
  const { dir } = above
  if (isClosed && dir !== '/')
    return { dir, closedBy: dir, names: [...names, ...above.names.filter(({ grants }) => !grants)] }
  return { dir, closedBy: isOpen ? undefined : above.closedBy, names: [...names, ...above.names] }
}
