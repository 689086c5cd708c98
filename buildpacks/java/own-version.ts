import { basename } from 'node:path'

/** Where build files give the application's own version. It changes with each release, and chooses no plugin. */
const lines: readonly (readonly [RegExp, RegExp])[] = [
  [/^gradle\.properties$/, /^\s*version\s*[=:].*$/gm],
  // Only at the start of a line: `version` in a block is another tool's.
  [/^build\.gradle(?:\.kts)?$/, /^version\s*=?\s*(["'])[\w.+-]*\1\s*$/gm],
  [/\.sbt$/, /^\s*(?:ThisBuild\s*\/\s*)?version\s*:=\s*"[\w.+-]*",?\s*$/gm],
  [/^project\.clj$/, /\(defproject\s+\S+\s+"[\w.+-]*"/g],
]

/** Words of a setting that give the application's version: Maven's names for continuous delivery, and Gradle's project property. */
const argument = /(?<!\S)-(?:D(?:revision|sha1|changelist)|Pversion)=[\w.+-]*(?!\S)/g

/**
 * Removes the application's own version from the text of a build file, unless a plugin's version may depend on it. Undefined for files
 * that have none.
 * @param modules the projects of the source, as `projectOf` names them: the version of a parent among them is the application's own
 */
export function removerOfVersion(path: string, modules: ReadonlySet<string>): ((text: string) => string) | undefined {
  const name = basename(path)
  if (name.endsWith('.xml')) return text => withoutPomVersion(text, modules)
  const line = lines.find(([file]) => file.test(name))?.[1]
  return line && (text => text.replace(line, ''))
}

/** The value of a setting without words that give the application's version. */
export const withoutVersionArguments = (value: string): string => value.replace(argument, '')

/** The project of a pom.xml: `com.acme:shop:1.0`. Undefined for other files. */
export function projectOf(pom: string): string | undefined {
  const elements = elementsOf(pom)
  const textOf = (path: string) => elements?.get(`project ${path}`)?.text
  const name = textOf('artifactId')
  // Both are the parent's if the project has none of its own.
  const group = textOf('groupId') ?? textOf('parent groupId')
  const version = textOf('version') ?? textOf('parent version')
  return name && group && version && `${group}:${name}:${version}`
}

/** Removes `<version>` directly in `<project>`, and in its `<parent>` if that is a project of the source. */
function withoutPomVersion(pom: string, modules: ReadonlySet<string>): string {
  const elements = elementsOf(pom)
  if (elements === undefined || pluginsUseVersion(pom)) return pom
  const own = elements.get('project version')
  const version = elements.get('project parent version')
  const parent = ['groupId', 'artifactId', 'version'].map(name => elements.get(`project parent ${name}`)?.text)
  return [own, modules.has(parent.join(':')) ? version : undefined]
    .filter(element => element !== undefined)
    .toSorted((a, b) => b.start - a.start)
    .reduce((text, { start, end }) => text.slice(0, start) + text.slice(end), pom)
}

interface Element {
  readonly text: string
  readonly start: number
  readonly end: number
}

/** Elements by the names that lead to them, `project parent version`, the first of each. Undefined if the file is damaged. */
function elementsOf(pom: string): ReadonlyMap<string, Element> | undefined {
  const found = new Map<string, Element>()
  const open: { name: string; start: number }[] = []
  for (const { 0: tag, 1: end, 2: name = '', 3: empty, index } of pom.matchAll(tags)) {
    if (name === '' || empty) continue
    if (end === '') {
      open.push({ name, start: index + tag.length })
      continue
    }
    const path = open.map(({ name }) => name).join(' ')
    const start = open.pop()
    if (start?.name !== name) return undefined
    if (!found.has(path))
      found.set(path, { text: pom.slice(start.start, index).trim(), start: start.start, end: index })
  }
  return open.length === 0 ? found : undefined
}

/** Tags, and what may contain text that looks like one. */
const tags = /<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<(\/?)([\w:.-]+)[^<>]*?(\/?)>/g

/**
 * Whether something that Maven loads may have the application's version, if only by a property. What a plugin does with the version does
 * not matter.
 */
export function pluginsUseVersion(pom: string): boolean {
  const loaded = pom.match(/<(plugin|extension|parent|properties)>[\s\S]*?<\/\1>/g) ?? []
  return loaded.some(block => ownVersion.test(block.replace(configuration, '')))
}

const ownVersion = /\$\{(?:(?:project\.|pom\.)?version|revision|sha1|changelist)\}/
const configuration = /<configuration>[\s\S]*?<\/configuration>/g
