import type { Gem } from './bundle.ts'

/** Debian packages for a gem that uses a library or a program of the system. */
interface Native {
  /** Needed to compile its extension. The libraries that it is linked with get into the image automatically. */
  readonly build?: readonly string[]
  /** Needed for libraries and programs that it loads or starts at run time, which no linker knows. */
  readonly run?: readonly string[]
  /** Other gems in whose presence the application does not use it. */
  readonly unless?: readonly string[]
}

const natives: Readonly<Record<string, Native>> = {
  cairo: { build: ['libcairo2-dev'] },
  charlock_holmes: { build: ['libicu-dev'] },
  curb: { build: ['libcurl4-openssl-dev'] },
  ffi: { build: ['libffi-dev'] },
  'ffi-icu': { run: ['libicu76'] },
  gpgme: { build: ['libgpgme-dev', 'libassuan-dev', 'libgpg-error-dev'] },
  gssapi: { run: ['libgssapi-krb5-2'] },
  'idn-ruby': { build: ['libidn-dev'] },
  'leveldb-ruby': { build: ['libleveldb-dev'] },
  'libxml-ruby': { build: ['libxml2-dev'] },
  // image_processing installs both gems, and Rails uses the other one.
  mini_magick: { run: ['imagemagick'], unless: ['image_processing'] },
  mysql2: { build: ['libmariadb-dev'] },
  pg: { build: ['libpq-dev'] },
  psych: { build: ['libyaml-dev'] },
  rbnacl: { run: ['libsodium23'] },
  re2: { build: ['libre2-dev'] },
  rmagick: { build: ['libmagickwand-dev'] },
  'ruby-filemagic': { build: ['libmagic-dev'] },
  'ruby-ldap': { build: ['libldap-dev', 'libsasl2-dev'] },
  'ruby-vips': { run: ['libvips42t64'] },
  rugged: { build: ['cmake', 'libssh2-1-dev'] },
  sequel_pg: { build: ['libpq-dev'] },
  'streamio-ffmpeg': { run: ['ffmpeg'] },
  'taglib-ruby': { build: ['libtag-dev'] },
  tiny_tds: { build: ['freetds-dev'] },
}

const of = (name: string): Native | undefined => (Object.hasOwn(natives, name) ? natives[name] : undefined)
const sorted = (names: readonly string[]): string[] => [...new Set(names)].toSorted()

/** The Debian packages for compiling gems that have only sources. */
export function buildPackages(gems: readonly Gem[]): string[] {
  return sorted(gems.filter(({ platform }) => platform === 'ruby').flatMap(({ name }) => of(name)?.build ?? []))
}

/** The Debian packages that gems load or start. */
export function runPackages(gems: readonly Gem[]): string[] {
  const isThere = (name: string) => gems.some(gem => gem.name === name)
  return sorted(gems.flatMap(({ name }) => (of(name)?.unless?.some(isThere) === true ? [] : (of(name)?.run ?? []))))
}

/** Whether anything may have to be compiled: only an archive for a specific platform certainly needs no compilation. */
export function mayCompile(gems: readonly Gem[]): boolean {
  return gems.some(({ platform, source }) => platform === 'ruby' && !source.startsWith('path:'))
}
