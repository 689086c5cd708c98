import { posix } from 'node:path'
import { type App, BuildpackError } from '../sdk/index.ts'

type Env = Readonly<Record<string, string>>
export type Requirements = Readonly<Record<string, string>>

/** The parts of a composer.json that affect the build. */
export interface Manifest {
  /** Relative to the application's directory: `composer.json`, or the file that COMPOSER names. */
  readonly file: string
  readonly require: Requirements
  readonly scripts: Readonly<Record<string, unknown>>
  /** `config.platform.php`: the version for which Composer chooses packages. */
  readonly platformPhp: string | undefined
  /** `config.vendor-dir`. */
  readonly vendorDir: string
}

/** A package of a lock file. */
export interface Package {
  readonly name: string
  readonly version: string
  readonly require: Requirements
  readonly provides: readonly string[]
  readonly licenses: readonly string[]
  /** `path` for a package that is a directory of the application. */
  readonly distType: string | undefined
}

/** A composer.lock without packages for development. */
export interface Lock {
  readonly file: string
  readonly text: string
  readonly packages: readonly Package[]
  /** The application's own platform requirements when the lock file was written: `{ php: '^8.2' }`. */
  readonly platform: Requirements
}

/** The manifest that the user names, else composer.json. */
export function manifestFile(env: Env): string {
  const named = env['COMPOSER']?.trim()
  if (named === undefined || named === '') return 'composer.json'
  const file = posix.normalize(named.replace(/^\/workspace\//, ''))
  if (posix.isAbsolute(file) || file.startsWith('..'))
    throw new BuildpackError(`${named.slice(0, 200)} is outside the source`, {
      where: 'COMPOSER',
      fix: 'name a file in it: COMPOSER=composer-production.json',
    })
  return file
}

/**
 * Reads composer.json; undefined if there is none.
 * @throws BuildpackError for invalid JSON, or for a value of another type than in Composer's schema
 */
export async function readManifest(app: App, env: Env): Promise<Manifest | undefined> {
  const file = manifestFile(env)
  const text = await app.read(file)
  if (text === undefined) {
    if (file === 'composer.json') return undefined
    throw new BuildpackError(`there is no file ${file}`, { where: 'COMPOSER', fix: 'correct the name' })
  }
  const json = objectOf(parse(text, file), file)
  const config = objectOf(json['config'] ?? {}, `${file} config`)
  const platform = objectOf(config['platform'] ?? {}, `${file} config.platform`)
  const vendorDir = env['COMPOSER_VENDOR_DIR']?.trim() || (config['vendor-dir'] ?? 'vendor')
  const php = platform['php']
  return {
    file,
    require: textsOf(json['require'] ?? {}, `${file} require`),
    scripts: objectOf(json['scripts'] ?? {}, `${file} scripts`),
    platformPhp: typeof php === 'string' ? php : undefined,
    vendorDir: vendorDirOf(vendorDir, file),
  }
}

/** The directory of packages has to be inside the application, since the image contains nothing else. */
function vendorDirOf(value: unknown, file: string): string {
  const where = `${file} config.vendor-dir`
  if (typeof value !== 'string')
    throw new BuildpackError('is not a text', { where, fix: 'write a directory: "vendor"' })
  const dir = posix.normalize(value.replace(/^\/workspace\//, '')).replace(/\/$/, '')
  if (posix.isAbsolute(dir) || dir.startsWith('..') || dir === '.' || /[\x00-\x1f$]/.test(dir))
    throw new BuildpackError(`${JSON.stringify(value.slice(0, 200))} is not a directory of the application`, {
      where,
      fix: 'write a directory below it: "vendor"',
    })
  return dir
}

/** The lock file's name beside a composer.json. */
export const lockFileOf = (file: string): string => `${file.replace(/\.json$/, '')}.lock`

/** Reads the lock file; undefined if there is none. */
export async function readLock(app: App, { file: manifest }: Manifest): Promise<Lock | undefined> {
  const file = lockFileOf(manifest)
  const text = await app.read(file)
  return text === undefined ? undefined : parseLock(text, file)
}

/** @throws BuildpackError for a text that is not a Composer lock file */
export function parseLock(text: string, file: string): Lock {
  const json = objectOf(parse(text, file), file)
  const packages: unknown = json['packages'] ?? []
  if (!Array.isArray(packages))
    throw new BuildpackError('is not a list', {
      where: `${file} packages`,
      fix: 'update it: composer update --lock',
    })
  // PHP writes an empty table as a list.
  const platform = Array.isArray(json['platform']) ? {} : (json['platform'] ?? {})
  return {
    file,
    text,
    packages: packages.map((each: unknown, index) => packageOf(each, `${file} packages[${index}]`)),
    platform: textsOf(platform, `${file} platform`),
  }
}

function packageOf(value: unknown, where: string): Package {
  const json = objectOf(value, where)
  const { name, version, license } = json
  if (typeof name !== 'string' || typeof version !== 'string')
    throw new BuildpackError('has no name and version', {
      where,
      fix: 'update the lock file: composer update --lock',
    })
  const dist = json['dist']
  const distType = typeof dist === 'object' && dist !== null && 'type' in dist ? dist.type : undefined
  return {
    name,
    version,
    require: textsOf(json['require'] ?? {}, `${where}.require`),
    provides: Object.keys(textsOf(json['provide'] ?? {}, `${where}.provide`)),
    licenses: Array.isArray(license) ? license.filter(each => typeof each === 'string') : [],
    distType: typeof distType === 'string' ? distType : undefined,
  }
}

function parse(text: string, where: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const message = error instanceof Error ? error.message.slice(0, 200) : 'no JSON'
    throw new BuildpackError(`is not JSON: ${message}`, { where, fix: 'correct it: composer validate' })
  }
}

function objectOf(value: unknown, where: string): Readonly<Record<string, unknown>> {
  // PHP writes an empty table as a list.
  if (Array.isArray(value) && value.length === 0) return {}
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new BuildpackError('is not a table', { where, fix: 'correct it: composer validate' })
}

function textsOf(value: unknown, where: string): Requirements {
  const entries = Object.entries(objectOf(value, where))
  const other = entries.find(([, each]) => typeof each !== 'string')
  if (other !== undefined)
    throw new BuildpackError('is not a text', {
      where: `${where}.${other[0].slice(0, 100)}`,
      fix: 'write a constraint: "*"',
    })
  return Object.fromEntries(entries) as Requirements
}
