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
 */
export function removerOfVersion(path: string): ((text: string) => string) | undefined {
  const name = basename(path)
  if (name.endsWith('.xml')) return withoutPomVersion
  const line = lines.find(([file]) => file.test(name))?.[1]
  return line && (text => text.replace(line, ''))
}

/** The value of a setting without words that give the application's version. */
export const withoutVersionArguments = (value: string): string => value.replace(argument, '')

/** Removes `<version>` directly in `<project>`. */
function withoutPomVersion(pom: string): string {
  if (pluginsUseVersion(pom)) return pom
  const open: string[] = []
  let start = 0
  for (const { 0: tag, 1: end, 2: name = '', 3: empty, index } of pom.matchAll(tags)) {
    if (name === '' || empty) continue
    if (end === '') {
      open.push(name)
      if (open.join(' ') === 'project version') start = index
    } else {
      if (open.join(' ') === 'project version') return pom.slice(0, start) + pom.slice(index + tag.length)
      if (open.pop() !== name) return pom
    }
  }
  return pom
}

/** Tags, and what may contain text that looks like one. */
const tags = /<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<(\/?)([\w:.-]+)[^<>]*?(\/?)>/g

/** Whether something that Maven loads may have the application's version. What a plugin does with it does not matter. */
function pluginsUseVersion(pom: string): boolean {
  const loaded = pom.match(/<(plugin|extension|parent)>[\s\S]*?<\/\1>/g) ?? []
  return loaded.some(block => /\$\{(?:project\.|pom\.)?version\}/.test(block.replace(configuration, '')))
}

const configuration = /<configuration>[\s\S]*?<\/configuration>/g
