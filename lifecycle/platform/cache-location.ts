import { BaleError } from '../errors.ts'

/** The place of a shared cache: a value of `--cache-from` or `--cache-to`, in BuildKit's notation. */
export type CacheLocation = {
  /** The original text without secret parts. */
  readonly text: string
  /** Distinguishes apps that share a cache; by default the name of the image. */
  readonly name?: string | undefined
  /** How long stored data is used, in milliseconds. */
  readonly timeToLive?: number | undefined
} & (
  | { readonly type: 'registry'; readonly ref: string }
  | { readonly type: 'local'; readonly dir: string }
  | {
      readonly type: 's3'
      readonly bucket: string
      readonly region: string | undefined
      readonly endpoint: string | undefined
      readonly prefix: string | undefined
    }
  | { readonly type: 'http'; readonly url: string }
  | { readonly type: 'redis'; readonly url: string; readonly maxSize: number; readonly timeToLive: number }
)

export type CacheDestination = CacheLocation & {
  readonly mode: 'min' | 'max'
  readonly required: boolean
}

type Env = Readonly<Record<string, string | undefined>>

const common = ['type', 'name']
const keysOf: Readonly<Record<string, readonly string[]>> = {
  registry: ['ref'],
  local: ['src', 'dest'],
  s3: ['bucket', 'region', 'endpoint_url', 'prefix'],
  http: ['url', 'url-env'],
  redis: ['url', 'url-env', 'max-size'],
}

/** Redis holds everything in memory. */
const redisDefaults = { maxSize: 256 * 1024 * 1024, timeToLive: 7 * 24 * 3600_000 }

/**
 * Parses `type=s3,bucket=…,region=…`; a text without `=` is an image reference in a registry, as in BuildKit.
 * @throws BaleError 'usage'
 */
export function parseCacheFrom(text: string, env: Env): CacheLocation {
  return locate(new Fields(text, '--cache-from', ['ttl']), env, 'src')
}

/** The same with `mode=min|max`, `ttl=`, `required` and `ignore-error=`. */
export function parseCacheTo(text: string, env: Env): CacheDestination {
  const fields = new Fields(text, '--cache-to', ['mode', 'ttl', 'required', 'ignore-error'])
  const location = locate(fields, env, 'dest')
  const mode = fields.choice('mode', ['max', 'min'])
  const ignored = fields.flag('ignore-error')
  const required = fields.flag('required') ?? ignored === false
  if (required && ignored === true) throw fields.wrong('required and ignore-error cannot be combined')
  return { ...location, mode, required }
}

function locate(fields: Fields, env: Env, side: 'src' | 'dest'): CacheLocation {
  const shared = { text: fields.shown, name: fields.get('name'), timeToLive: fields.duration('ttl') }
  switch (fields.type) {
    case 'registry':
      return { ...shared, type: 'registry', ref: fields.need('ref') }
    case 'local':
      return { ...shared, type: 'local', dir: fields.need(side) }
    case 's3':
      return {
        ...shared,
        type: 's3',
        bucket: fields.need('bucket'),
        region: fields.get('region') ?? env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'],
        endpoint: fields.get('endpoint_url') ?? env['AWS_ENDPOINT_URL_S3'] ?? env['AWS_ENDPOINT_URL'],
        prefix: fields.get('prefix'),
      }
    case 'http':
      return { ...shared, type: 'http', url: fields.url(env) }
    default: {
      const { maxSize, timeToLive } = redisDefaults
      return {
        ...shared,
        timeToLive: shared.timeToLive ?? timeToLive,
        type: 'redis',
        url: fields.url(env),
        maxSize: fields.size('max-size') ?? maxSize,
      }
    }
  }
}

class Fields {
  readonly shown: string
  readonly type: string
  readonly #where: string
  readonly #values = new Map<string, string>()

  constructor(text: string, where: string, keys: readonly string[]) {
    this.#where = where
    const written = text.includes('=') ? text : `type=registry,ref=${text}`
    for (const part of written.split(',')) {
      const [, key = '', value = 'true'] = /^([a-z0-9_-]+)(?:=(.*))?$/s.exec(part.trim()) ?? []
      if (key === '') throw this.wrong('it is not a list of key=value')
      if (this.#values.has(key)) throw this.wrong(`${key} is given twice`)
      this.#values.set(key, value)
    }
    this.type = this.#values.get('type') ?? ''
    const own = keysOf[this.type]
    if (own === undefined) throw this.wrong(`the type ${JSON.stringify(this.type.slice(0, 50))} is unknown`)
    const known = [...common, ...own, ...keys]
    const unknown = [...this.#values.keys()].find(key => !known.includes(key))
    if (unknown !== undefined) throw this.wrong(`${unknown} is unknown for the type ${this.type}: ${known.join(', ')}`)
    // A URL may hold a password.
    this.shown = [...this.#values].map(([k, v]) => (k === 'url' ? 'url=…' : `${k}=${v}`)).join(',')
  }

  wrong(message: string): BaleError {
    return new BaleError('usage', message, {
      where: this.#where,
      fix: `write for example ${this.#where} type=registry,ref=registry.example.com/team/cache; types: ${Object.keys(keysOf).join(', ')}`,
    })
  }

  get(key: string): string | undefined {
    const value = this.#values.get(key)
    if (value === '') throw this.wrong(`${key} is empty`)
    return value
  }

  need(key: string): string {
    const value = this.get(key)
    if (value === undefined) throw this.wrong(`${key} is missing`)
    return value
  }

  choice<const T extends string>(key: string, values: readonly [T, ...T[]]): T {
    const value = this.get(key)
    const found = value === undefined ? values[0] : values.find(v => v === value)
    if (found === undefined) throw this.wrong(`${key} must be one of ${values.join(' and ')}`)
    return found
  }

  flag(key: string): boolean | undefined {
    return this.#values.has(key) ? this.choice(key, ['true', 'false']) === 'true' : undefined
  }

  /** The URL from `url`, or from the variable that `url-env` names, since other users of the machine can see arguments. */
  url(env: Env): string {
    const name = this.get('url-env')
    if (name === undefined) return this.need('url')
    if (this.#values.has('url')) throw this.wrong('url and url-env cannot be combined')
    const value = env[name]
    if (value === undefined || value === '') throw this.wrong(`url-env names the variable ${name}, which is not set`)
    return value
  }

  duration(key: string): number | undefined {
    const value = this.get(key)
    if (value === undefined) return undefined
    const [, number, unit = ''] = /^([1-9]\d{0,5})([mhdw])$/.exec(value) ?? []
    const milliseconds = Number(number) * ({ m: 60_000, h: 3600_000, d: 86_400_000, w: 604_800_000 }[unit] ?? NaN)
    if (Number.isNaN(milliseconds)) throw this.wrong(`${key} must be a duration such as 12h, 7d or 2w`)
    return milliseconds
  }

  size(key: string): number | undefined {
    const value = this.get(key)
    if (value === undefined) return undefined
    const [, number, unit = ''] = /^([1-9]\d{0,5})(KB|MB|GB)$/.exec(value) ?? []
    const bytes = Number(number) * ({ KB: 1000, MB: 1000 ** 2, GB: 1000 ** 3 }[unit] ?? NaN)
    if (Number.isNaN(bytes)) throw this.wrong(`${key} must be a size such as 500MB`)
    return bytes
  }
}
