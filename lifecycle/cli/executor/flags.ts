import { BaleError } from '../../errors.ts'

/** The form of a kaniko flag: `--flag`, `--flag=VALUE`, or `--flag=VALUE` several times. */
export type FlagKind = 'switch' | 'text' | 'list'

/** How Bale treats a flag. */
export type Fate =
  /** options.ts maps it to an option of Bale. */
  | 'mapped'
  /** Bale always does what the flag asks for, or has nothing that the flag could change. */
  | 'needless'
  /** Bale has another way for this; the text names it. */
  | { readonly instead: string }

export interface Flag {
  readonly kind: FlagKind
  readonly fate: Fate
}

const mapped = (kind: FlagKind): Flag => ({ kind, fate: 'mapped' })
const needless = (kind: FlagKind = 'switch'): Flag => ({ kind, fate: 'needless' })
const instead = (kind: FlagKind, text: string): Flag => ({ kind, fate: { instead: text } })

/** kaniko's flags (its README, "Additional Flags"), each treated as docs/from-kaniko.md says. */
export const kanikoFlags: Readonly<Record<string, Flag>> = {
  annotation: mapped('list'),
  'build-arg': mapped('list'),
  bucket: mapped('text'),
  cache: mapped('switch'),
  'cache-copy-layers': needless(),
  'cache-dir': mapped('text'),
  'cache-repo': mapped('text'),
  'cache-run-layers': needless(),
  'cache-ttl': mapped('text'),
  cleanup: needless(),
  'compressed-caching': needless(),
  compression: mapped('text'),
  'compression-level': mapped('text'),
  context: mapped('text'),
  'context-sub-path': mapped('text'),
  'credential-helpers': mapped('list'),
  'custom-platform': mapped('text'),
  customPlatform: mapped('text'),
  destination: mapped('list'),
  'digest-file': mapped('text'),
  dockerfile: instead('text', 'no Dockerfile is read: buildpacks look at the source itself'),
  force: needless(),
  'force-build-metadata': needless(),
  git: mapped('list'),
  'ignore-path': needless('list'),
  'ignore-var-run': needless(),
  'image-download-retry': mapped('text'),
  'image-fs-extract-retry': needless('text'),
  'image-name-tag-with-digest-file': mapped('text'),
  'image-name-with-digest-file': mapped('text'),
  insecure: mapped('switch'),
  'insecure-pull': mapped('switch'),
  'insecure-registry': mapped('list'),
  'kaniko-dir': needless('text'),
  label: mapped('list'),
  'log-format': mapped('text'),
  'log-timestamp': mapped('switch'),
  materialize: needless(),
  'no-push': mapped('switch'),
  'no-push-cache': mapped('switch'),
  'oci-layout-path': mapped('text'),
  'preserve-context': needless(),
  'push-ignore-immutable-tag-errors': mapped('switch'),
  'push-retry': mapped('text'),
  'registry-certificate': mapped('list'),
  'registry-client-cert': mapped('list'),
  'registry-map': mapped('list'),
  'registry-mirror': mapped('list'),
  reproducible: needless(),
  secret: mapped('list'),
  'single-snapshot': needless(),
  'skip-default-registry-fallback': mapped('switch'),
  'skip-push-permission-check': instead(
    'switch',
    'the permission to push is checked before the build, so that no build is wasted',
  ),
  'skip-tls-verify': mapped('switch'),
  'skip-tls-verify-pull': mapped('switch'),
  'skip-tls-verify-registry': mapped('list'),
  'skip-unused-stages': needless(),
  'snapshot-mode': needless('text'),
  snapshotMode: needless('text'),
  'tar-path': mapped('text'),
  tarPath: mapped('text'),
  target: instead(
    'text',
    'there are no stages: --default-process of bale build selects the process that the image starts',
  ),
  'use-new-run': needless(),
  verbosity: mapped('text'),
}

const shorthands: Readonly<Record<string, string>> = {
  '-c': '--context',
  '-d': '--destination',
  '-f': '--dockerfile',
  '-v': '--verbosity',
}

export interface Parsed {
  has(name: string): boolean
  text(name: string): string | undefined
  list(name: string): readonly string[]
  /** The flags on the command line, in their order. */
  readonly names: readonly string[]
}

/**
 * Parses flags as kaniko does (spf13/pflag): `--flag=VALUE`, `--flag VALUE`, `--switch`, `--switch=false`; a list is
 * a repeated flag or values separated by commas.
 * @throws BaleError 'usage' for an unknown flag, a missing value, and an argument that is not a flag
 */
export function parseFlags(argv: readonly string[]): Parsed {
  const given = new Map<string, string[]>()
  for (let i = 0; i < argv.length; i++) {
    const [, short, rest = ''] = /^(-[a-z])=?(.*)$/s.exec(argv[i] as string) ?? []
    const long = short === undefined ? undefined : shorthands[short]
    const word = long === undefined ? (argv[i] as string) : rest === '' ? long : `${long}=${rest}`
    const [, name = '', value] = /^--([^=]+)(?:=(.*))?$/s.exec(word) ?? []
    const flag = Object.hasOwn(kanikoFlags, name) ? kanikoFlags[name] : undefined
    if (flag === undefined) {
      throw new BaleError('usage', `executor has no flag ${JSON.stringify(word.split('=')[0])}`, {
        fix: 'docs/from-kaniko.md lists its flags',
      })
    }
    const taken = value ?? (flag.kind === 'switch' ? 'true' : argv[++i])
    if (taken === undefined) throw new BaleError('usage', 'the value is missing', { where: `--${name}` })
    if (flag.kind === 'switch' && taken !== 'true' && taken !== 'false')
      throw new BaleError('usage', `${JSON.stringify(taken)} is not true or false`, { where: `--${name}` })
    given.set(name, flag.kind === 'list' ? [...(given.get(name) ?? []), taken] : [taken])
  }
  return {
    has: name => given.get(name)?.[0] === 'true',
    text: name => given.get(name)?.[0],
    list: name => given.get(name) ?? [],
    names: [...given.keys()],
  }
}
