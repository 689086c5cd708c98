import { satisfies, valid, validRange } from '@renovatebot/pep440'

/**
 * A requested version as a PEP 440 specifier. Bare versions follow pyenv, Heroku and Paketo: `3.13`, `python-3.13.2`, `3.13.*`, `3.x`;
 * `^3.12` and `~3.12` are Poetry's. A bare patch release also accepts later patches of the same minor version, since they only fix
 * faults: `3.13.2` is `>=3.13.2,==3.13.*`; `==3.13.2` accepts only that version.
 * @returns undefined for a text that does not request a version of CPython
 */
export function toSpecifier(text: string): string | undefined {
  // Poetry's alternatives: `^2.7 || ^3.8`.
  const alternatives = text.split('||').map(alternative => {
    const clauses = alternative.split(',').map(clause => toClause(clause.trim()))
    const specifier = clauses.join(',')
    return clauses.includes(undefined) || !validRange(specifier) ? undefined : specifier
  })
  return alternatives.includes(undefined) ? undefined : alternatives.join('||')
}

function toClause(clause: string): string | undefined {
  if (/^(===|==|~=|!=|<=|>=|<|>)/.test(clause)) return clause.replaceAll(/\s+/g, '')
  const caret = /^\^\s*(\d+(?:\.\d+)*)$/.exec(clause)?.[1]
  if (caret !== undefined) {
    const [major = 0, minor = 0] = caret.split('.').map(Number)
    return `>=${caret},<${major === 0 ? `0.${minor + 1}` : major + 1}`
  }
  const tilde = /^~\s*(\d+(?:\.\d+)*)$/.exec(clause)?.[1]
  if (tilde !== undefined) return `>=${tilde},==${tilde.split('.').slice(0, 2).join('.')}.*`
  const bare = /^(?:(?:c?python)[- ]?)?v?(\d.*)$/i.exec(clause)?.[1]?.replace(/(\.[x*])+$/i, '')
  if (bare === undefined || valid(bare) === null) return clause === '*' || clause === 'latest' ? '>=3' : undefined
  const parts = bare.split('.')
  if (parts.length < 3) return `==${bare}.*`
  return /^\d+\.\d+\.\d+$/.test(bare) ? `>=${bare},==${parts[0]}.${parts[1]}.*` : `==${bare}`
}

/** Whether a version satisfies all specifiers. A pre-release satisfies only a specifier that names one. */
export function meetsAll(version: string, specifiers: readonly string[]): boolean {
  return specifiers.every(specifier => specifier.split('||').some(alternative => satisfies(version, alternative)))
}
