import { readdir } from 'node:fs/promises'
import { basename } from 'node:path'
import { type App, BuildpackError } from '../sdk/index.ts'
import { extensionName, type ExtensionRequest, packageOfExtension } from './extensions.ts'

/**
 * php.ini for a container: files of an image do not change, so PHP never checks compiled code again; errors go to the log.
 * `${NAME:-value}` is a variable at run time (php.net, "The configuration file").
 */
export const phpIni = `; Settings of Bale's PHP buildpack. Files in .php.ini.d come after these.
expose_php = Off
display_errors = Off
display_startup_errors = Off
log_errors = On
html_errors = Off
error_reporting = E_ALL & ~E_DEPRECATED
zend.assertions = -1
variables_order = EGPCS
memory_limit = \${PHP_MEMORY_LIMIT:-128M}
post_max_size = 36M
upload_max_filesize = 32M
date.timezone = \${TZ:-UTC}
realpath_cache_size = 4096K
realpath_cache_ttl = 600
session.save_path = \${TMPDIR:-/tmp}
session.use_strict_mode = 1
session.cookie_httponly = 1
; What nginx passes is a file that is there: PHP need not guess another one from its path.
cgi.fix_pathinfo = 0
; Errors go to the standard error of PHP-FPM rather than to nginx.
fastcgi.logging = Off
; libcurl does not look at this variable, as OpenSSL does.
curl.cainfo = \${SSL_CERT_FILE}
opcache.enable = 1
opcache.enable_cli = \${PHP_OPCACHE_ENABLE_CLI:-0}
opcache.memory_consumption = \${PHP_OPCACHE_MEMORY_CONSUMPTION:-128}
opcache.interned_strings_buffer = 16
opcache.max_accelerated_files = 20000
opcache.validate_timestamps = \${PHP_OPCACHE_VALIDATE_TIMESTAMPS:-0}
`

/** @returns the settings, and variables with defaults that PHP before 8.3 does not find in them */
export function phpIniFor(minor: string): {
  readonly text: string
  readonly variables: Readonly<Record<string, string>>
} {
  if (Number(minor) >= 8.3) return { text: phpIni, variables: {} }
  const pattern = /\$\{(\w+):-([^}]*)\}/g
  const defaults = [...phpIni.matchAll(pattern)].map(([, name = '', value = '']): [string, string] => [name, value])
  return { text: phpIni.replaceAll(pattern, '${$1}'), variables: Object.fromEntries(defaults) }
}

/** A configuration file, without lines for extensions that are loaded anyway. */
export interface OwnIni {
  readonly name: string
  readonly text: string
}

export interface OwnSettings {
  /** The php.ini at the root of the source, which PHP reads before the others. */
  readonly top: OwnIni | undefined
  /** The files of .php.ini.d. */
  readonly files: readonly OwnIni[]
  readonly extensions: readonly ExtensionRequest[]
  /** Lines of the root php.ini that load an unavailable extension: `php.ini:3 extension=php_gd2.dll`. */
  readonly lost: readonly string[]
  /** PHP's memory limit in the last of them. */
  readonly memoryLimit: string | undefined
}

const dir = '.php.ini.d'

/**
 * The application's own settings: a php.ini at its root, as with Google and Railpack, and the files in .php.ini.d, as in Paketo.
 * Extensions that they load come from Debian; loading one twice would be a warning at each start. The root php.ini may come from
 * another machine, so an unavailable extension in it is no error.
 */
export async function readOwnSettings(app: App): Promise<OwnSettings> {
  const names = (await readdir(app.at(dir)).catch(() => [])).filter(name => name.endsWith('.ini')).toSorted()
  const top = (await app.has('php.ini')) ? await readIni(app, 'php.ini') : undefined
  const files = await Promise.all(names.map(name => readIni(app, `${dir}/${name}`)))
  const all = top === undefined ? files : [top, ...files]
  return {
    top,
    files,
    extensions: all.flatMap(({ extensions }) => extensions),
    lost: all.flatMap(({ lost }) => lost),
    memoryLimit: all.findLast(({ memoryLimit }) => memoryLimit !== undefined)?.memoryLimit,
  }
}

async function readIni(
  app: App,
  where: string,
): Promise<OwnIni & Pick<OwnSettings, 'extensions' | 'lost' | 'memoryLimit'>> {
  const extensions: ExtensionRequest[] = []
  const lost: string[] = []
  let memoryLimit: string | undefined
  const lines = ((await app.read(where)) ?? '').split(/\r?\n/).map((line, index) => {
    memoryLimit = /^\s*memory_limit\s*=\s*"?([^;"\s]+)/i.exec(line)?.[1] ?? memoryLimit
    const value = /^\s*(?:zend_)?extension\s*=\s*["']?([^;"']*)/i.exec(line)?.[1]?.trim()
    if (value === undefined || value === '' || (value.includes('/') && !value.includes('\\'))) return line
    const place = `${where}:${index + 1}`
    const name = extensionName(value)
    const isKnown = packageOfExtension(name) !== undefined
    if (isKnown || where.startsWith(dir)) extensions.push({ name, where: place })
    else lost.push(`${place} ${line.trim()}`)
    return isKnown || !where.startsWith(dir) ? `; ${line.trim()}` : line
  })
  return { name: basename(where), text: lines.join('\n'), extensions, lost, memoryLimit }
}

/** Extensions that a setting names: `BP_PHP_EXTENSIONS=gd,intl`. */
export function namedExtensions(setting: { name: string; value: string } | undefined): ExtensionRequest[] {
  const names = (setting?.value ?? '').split(/[\s,]+/).filter(name => name !== '')
  return names.map(text => {
    const name = extensionName(text)
    if (/^\w+$/.test(name)) return { name, where: setting?.name ?? '' }
    throw new BuildpackError(`${JSON.stringify(text.slice(0, 60))} is not the name of an extension`, {
      where: setting?.name,
      fix: 'write names with a comma between: gd,intl',
    })
  })
}
