import { BuildpackError } from '../sdk/index.ts'
import type { Lock, Manifest } from './project.ts'

/** A requested extension, and the place of the request. */
export interface ExtensionRequest {
  /** The name in `php -m`, in small letters: `pdo_mysql`. */
  readonly name: string
  readonly where: string
}

/** Extensions in the interpreter, or in Debian's php-common, which is always installed. */
const builtIn = new Set(
  (
    'core date filter hash json libxml openssl pcntl pcre random reflection session sodium spl standard zlib opcache readline ' +
    'calendar ctype exif ffi fileinfo ftp gettext iconv pdo phar posix shmop sockets sysvmsg sysvsem sysvshm tokenizer'
  ).split(' '),
)

/** Extensions in a package of another name. The value is the part after `php8.4-`. */
const packageOf: Readonly<Record<string, string>> = {
  dom: 'xml',
  simplexml: 'xml',
  xmlreader: 'xml',
  xmlwriter: 'xml',
  xsl: 'xml',
  pdo_sqlite: 'sqlite3',
  mysqli: 'mysql',
  mysqlnd: 'mysql',
  pdo_mysql: 'mysql',
  pdo_pgsql: 'pgsql',
  pdo_odbc: 'odbc',
  pdo_dblib: 'sybase',
  pdo_firebird: 'interbase',
}

/** Packages with one extension, or with those above. */
const packages = new Set(
  (
    'bcmath bz2 curl dba enchant gd gmp interbase intl ldap mbstring mysql odbc pgsql pspell snmp soap sqlite3 sybase tidy xml zip ' +
    'amqp apcu ast ds excimer gearman gmagick gnupg http igbinary imagick inotify mailparse maxminddb mcrypt memcache memcached ' +
    'mongodb msgpack oauth pcov pq ps psr raphf redis rrd smbclient solr ssh2 stomp uopz uploadprogress uuid xdebug xmlrpc yac ' +
    'yaml zmq zstd'
  ).split(' '),
)
/** Names of packages that are not names of an extension. */
const onlyPackages = new Set(['interbase', 'mysql', 'sybase'])

/** Extensions that the official build of PHP also has and nearly every application needs. */
export const basePackages: readonly string[] = ['mbstring', 'xml', 'curl', 'sqlite3']

/** The extension's name in any of its usual forms: `ext-pdo_mysql`, `pdo_mysql.so`, `zend-opcache`. */
export function extensionName(text: string): string {
  const name = text
    .trim()
    .toLowerCase()
    .replace(/^ext-/, '')
    .replace(/^php_|\.(?:so|dll)$/g, '')
  return /^zend[- _]opcache$/.test(name) ? 'opcache' : name
}

/**
 * The part after `php8.4-` in the name of the extension's package; '' for an extension that is always installed; undefined for an
 * unknown one.
 */
export function packageOfExtension(name: string): string | undefined {
  if (builtIn.has(name)) return ''
  const other = Object.hasOwn(packageOf, name) ? packageOf[name] : undefined
  return other ?? (packages.has(name) && !onlyPackages.has(name) ? name : undefined)
}

/**
 * The extensions that the application and its packages require, each once.
 * @param ignores whether the user makes Composer ignore the extension
 */
export function requiredExtensions(
  manifest: Manifest | undefined,
  lock: Lock | undefined,
  ignores: (name: string) => boolean = () => false,
): ExtensionRequest[] {
  const found = new Map<string, ExtensionRequest>()
  const add = (requirements: Readonly<Record<string, string>>, where: (key: string) => string) => {
    for (const key of Object.keys(requirements)) {
      if (!key.startsWith('ext-') || ignores(key)) continue
      const name = extensionName(key)
      if (!found.has(name)) found.set(name, { name, where: where(key) })
    }
  }
  add(manifest?.require ?? {}, key => `${manifest?.file} require.${key}`)
  add(lock?.platform ?? {}, key => `${lock?.file} platform.${key}`)
  // A package may implement an extension in PHP: symfony/polyfill-… provide ext-….
  const provided = new Set((lock?.packages ?? []).flatMap(each => each.provides))
  for (const each of lock?.packages ?? []) {
    const required = Object.entries(each.require).filter(
      ([key]) => !provided.has(key) || packageOfExtension(extensionName(key)) !== undefined,
    )
    add(Object.fromEntries(required), key => `${lock?.file} ${each.name} require.${key}`)
  }
  return [...found.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

/**
 * The Debian packages of extensions, without those that are always installed.
 * @param minor `8.4`
 * @throws BuildpackError for an extension that Debian does not have
 */
export function packagesOfExtensions(requests: readonly ExtensionRequest[], minor: string): string[] {
  const names = requests.map(({ name, where }) => {
    const found = packageOfExtension(name)
    if (found === undefined) throw notThere(name, where, minor)
    return found
  })
  return [...new Set(names)]
    .filter(name => name !== '' && !basePackages.includes(name))
    .map(name => `php${minor}-${name}`)
    .toSorted()
}

function notThere(name: string, where: string, minor: string): BuildpackError {
  const all = [...builtIn, ...Object.keys(packageOf), ...packages].filter(each => !onlyPackages.has(each))
  const near = all
    .filter(each => distance(each, name) <= (name.length < 5 ? 1 : 2) || (name.length > 3 && each.includes(name)))
    .toSorted()
  const instead =
    near.length > 0 ? `the nearest is ${near.slice(0, 3).join(' or ')}` : `there are ${all.toSorted().join(', ')}`
  return new BuildpackError(`the extension ${JSON.stringify(name.slice(0, 60))} is not in Debian 13 for PHP ${minor}`, {
    where,
    fix: `${instead}; take it out if the application runs without it`,
  })
}

/** The number of differing letters (Levenshtein), up to a small limit. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2 || b.length > 40) return 3
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1]
    for (let j = 1; j <= b.length; j++) {
      const same = (row[j - 1] ?? 0) + (b[j - 1] === letter ? 0 : 1)
      next.push(Math.min(same, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row.at(-1) ?? 3
}
