import type { Language } from './language.ts'
import { languages } from './languages.ts'

/** The language with this id or another usual name, in any case of letters. */
export function languageNamed(text: string): Language | undefined {
  const wanted = text.trim().toLowerCase()
  return languages.find(({ id, aliases = [] }) => id === wanted || aliases.includes(wanted))
}

/** Languages that Bale builds, as part of a sentence: `Go, Python and Node.js`. */
export function builtLanguages(): string {
  return listed(languages.filter(({ provides }) => provides !== undefined).map(({ name, listedAs = name }) => listedAs))
}

export function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}

/** The first manifest of each language that Bale builds: `go.mod, Cargo.toml and package.json`. */
export function builtManifests(): string {
  const built = languages.filter(({ provides }) => provides !== undefined)
  return listed([...built.flatMap(({ manifests }) => manifests.slice(0, 1)), 'Procfile'])
}
