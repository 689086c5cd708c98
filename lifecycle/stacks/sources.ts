import { BaleError } from '../errors.ts'
import { withoutPasswordsOfUrls } from '../image/reference.ts'

/** The relevant fields of a stanza of apt's sources (sources.list(5)), in either format. */
export interface AptSource {
  readonly uris: readonly string[]
  readonly suites: readonly string[]
  readonly components: readonly string[]
  /** Paths of keyrings, fingerprints, or an armoured key with its line breaks as in the file. */
  readonly signedBy?: string | undefined
}

/** The stanzas for binary packages in one file of apt's: `.sources` is deb822, everything else has one per line. */
export function parseSources(path: string, text: string): AptSource[] {
  const lines = text.replaceAll('\r\n', '\n')
  return path.endsWith('.sources') ? parseDeb822(lines) : lines.split('\n').flatMap(parseLine)
}

function parseLine(line: string): AptSource[] {
  const parts = /^deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line.trim())
  if (parts === null) return []
  const [, options = '', uri = '', suite = '', components = ''] = parts
  const signedBy = /(?:^|\s)signed-by=(\S+)/i.exec(options)?.[1]?.replaceAll(/["']/g, '').replaceAll(',', ' ')
  return [{ uris: [uri], suites: [suite], components: words(components), signedBy }]
}

function parseDeb822(text: string): AptSource[] {
  const withoutComments = text.replaceAll(/^#.*\n?/gm, '')
  return withoutComments.split(/\n[ \t]*\n+/).flatMap(stanza => {
    const fields = new Map<string, string>()
    // A line that starts with a blank continues the field before it.
    for (const [, name = '', value = ''] of stanza.matchAll(/^([!-9;-~]+):(.*(?:\n[ \t].*)*)/gm)) {
      fields.set(name.toLowerCase(), value.trim())
    }
    const list = (name: string) => words(fields.get(name) ?? '')
    if (!list('types').includes('deb') || /^(no|false|off|0)$/i.test(fields.get('enabled') ?? 'yes')) return []
    return [
      {
        uris: list('uris'),
        suites: list('suites'),
        components: list('components'),
        signedBy: fields.get('signed-by') || undefined,
      },
    ]
  })
}

function words(text: string): string[] {
  return text.split(/\s+/).filter(word => word !== '')
}

/** The mirrors of Debian itself. Without `main`, mmdebstrap's own default for the suite applies. */
export interface DebianMirrors {
  readonly main?: Mirror | undefined
  readonly security?: Mirror | undefined
}

export interface Mirror {
  readonly uris: readonly string[]
  readonly signedBy?: string | undefined
}

const releases = 'oldoldstable|oldstable|stable|testing|buster|bullseye|bookworm|trixie|forky|duke'
const mainSuite = new RegExp(`^(${releases}|unstable|sid)(-updates)?$`)
const securitySuite = new RegExp(`^(${releases})(-security|/updates)$`)

/**
 * Finds the two sources of a machine that mirror Debian's own archive, for any release. A third party's
 * archive may look the same (`.../debian bookworm main`): Debian's key decides, then the path.
 */
export function findMirrors(sources: readonly AptSource[]): DebianMirrors {
  return { main: findMirror(sources, mainSuite, /debian/i), security: findMirror(sources, securitySuite, /security/i) }
}

function findMirror(sources: readonly AptSource[], suite: RegExp, path: RegExp): Mirror | undefined {
  const candidates = sources
    .map(source => ({ ...source, uris: source.uris.filter(isRemote) }))
    .filter(s => s.uris.length > 0 && s.components.includes('main') && s.suites.some(name => suite.test(name)))
    .map(source => ({ source, rank: rankOf(source, path) }))
    .filter(({ rank }) => rank > 0)
  const best = candidates.toSorted((a, b) => b.rank - a.rank)[0]?.source // the sort is stable: the first of equals
  return best && { uris: best.uris, signedBy: best.signedBy }
}

function rankOf({ signedBy, uris }: AptSource, path: RegExp): number {
  if (signedBy?.includes('debian-archive')) return 3
  const lastSegment = uris[0]?.replace(/\/+$/, '').split('/').at(-1) ?? ''
  if (!path.test(lastSegment)) return 0
  return signedBy === undefined ? 2 : 1
}

/** Disks and CDs of this machine (`file:`, `cdrom:`) are out of reach from inside the new root. */
function isRemote(uri: string): boolean {
  return /^(tor\+|mirror\+)?https?:\/\//.test(uri)
}

/**
 * Formats the image's sources as deb822 text: the suite and its updates from the main mirror, its security updates from the
 * security mirror.
 */
export function renderSources(mirrors: DebianMirrors & { main: Mirror }, suite: string, components: readonly string[]) {
  const stanza = (mirror: Mirror, suites: string) =>
    [
      'Types: deb',
      `URIs: ${mirror.uris.join(' ')}`,
      `Suites: ${suites}`,
      `Components: ${components.join(' ')}`,
      ...(mirror.signedBy === undefined ? [] : [`Signed-By: ${mirror.signedBy}`]),
      '',
    ].join('\n')
  // sid and the like have neither updates nor security.
  if (/^(unstable|sid|experimental)$/.test(suite)) return stanza(mirrors.main, suite)
  const stanzas = [stanza(mirrors.main, `${suite} ${suite}-updates`)]
  if (mirrors.security) stanzas.push(stanza(mirrors.security, `${suite}-security`))
  return stanzas.join('\n')
}

/** A mirror that the user named. Only Debian's own key may sign it. */
export function namedMirror(uri: string, keyring: string): Mirror {
  if (!isRemote(uri) || !URL.canParse(uri.replace(/^(tor|mirror)\+/, '')) || /\s/.test(uri)) {
    throw new BaleError(
      'arguments',
      `${JSON.stringify(withoutPasswordsOfUrls(uri))} is not the address of a Debian mirror`,
      {
        fix: 'write it as in apt sources, with http:// or https://',
      },
    )
  }
  return { uris: [uri], signedBy: keyring }
}

/** Removes user names and passwords from the URIs in `text`, for the image. A password may contain `@`. */
export function redactUris(text: string): string {
  return text.replaceAll(/:\/\/[^\s/?#]*@/g, '://')
}
