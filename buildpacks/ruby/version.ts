import { satisfies, valid } from '@renovatebot/ruby-semver'
import {
  type App,
  BuildpackError,
  type Context,
  firstSetting,
  fromEach,
  fromToolFiles,
  fromVersionFile,
  type VersionRequest,
} from '../sdk/index.ts'
import type { Lock } from './lock-file.ts'

/** A version that some place asks for, as a requirement of RubyGems': `~> 3.3.0`. */
export interface Wish extends VersionRequest {
  readonly requirement: string
}

/** What all places come to. */
export interface Wanted {
  /** Those that have to be met: a setting, the Gemfile, which Bundler itself holds, or else the first of the files. */
  readonly musts: readonly Wish[]
  /** Others, for warnings. */
  readonly wishes: readonly Wish[]
}

/**
 * What the application asks for. A bare release in a file of a version manager accepts later patches of it, as those only mend
 * faults; that of a Gemfile is exact, as Bundler refuses any other.
 * @param gemfile the Gemfile's name; undefined if there is none
 * @throws BuildpackError for what is no version of Ruby
 */
export async function wantedRuby(
  { app, env }: Pick<Context, 'app' | 'env'>,
  gemfile: string | undefined,
  lock: Lock | undefined,
): Promise<Wanted> {
  const setting = firstSetting(env, 'BP_MRI_VERSION', 'GOOGLE_RUNTIME_VERSION', 'RAILPACK_RUBY_VERSION')
  const declared = gemfile === undefined ? undefined : await fromGemfile(app, gemfile)
  const locked =
    lock?.ruby === undefined ? undefined : toWish({ value: lock.ruby, where: `${lock.file} RUBY VERSION` }, 'patches')
  const files = (await fromEach([fromVersionFile(app, '.ruby-version'), fromToolFiles(app, 'ruby')])).map(request =>
    toWish(request, 'patches'),
  )
  const first = setting && toWish({ value: setting.value, where: setting.name }, 'patches')
  const musts = [first, declared].filter(wish => wish !== undefined)
  const rest = [locked, ...files].filter(wish => wish !== undefined)
  return musts.length > 0 ? { musts, wishes: rest } : { musts: rest.slice(0, 1), wishes: rest.slice(1) }
}

/**
 * Holds the version that is on offer against what is asked for.
 * @returns warnings of places that ask for another
 * @throws BuildpackError if one that has to be met is not
 */
export function checkVersion({ musts, wishes }: Wanted, offered: string): string[] {
  for (const { value, where, requirement } of musts) {
    if (satisfies(offered, requirement)) continue
    const minor = offered.split('.').slice(0, 2).join('.')
    const write = where.startsWith('Gemfile') || where.startsWith('gems.rb') ? `ruby "~> ${minor}"` : minor
    throw new BuildpackError(`asks for Ruby ${value}, which is not to be had`, {
      where,
      fix: `the nearest is ${offered}, the one that Debian 13 has: write ${write} if the application runs on it`,
    })
  }
  return wishes
    .filter(({ requirement }) => !satisfies(offered, requirement))
    .map(({ value, where }) => `${where} asks for ${value}, but ${musts[0]?.where} for ${musts[0]?.value}`)
}

/** Whether a bare release stands for itself alone, or for later patches of it as well. */
type Bare = 'exact' | 'patches'

function toWish({ value, where }: VersionRequest, bare: Bare): Wish {
  const requirement = toRequirement(value, bare)
  if (requirement !== undefined) return { value, where, requirement }
  const engine = /^(j|truffle|m)ruby|rbx|artichoke/i.exec(value.trim())?.[0]
  throw new BuildpackError(
    engine === undefined
      ? `${JSON.stringify(value.slice(0, 100))} is not a version of Ruby`
      : `${value.slice(0, 100)} is not supported`,
    { where, fix: 'write a version of MRI, such as 3.3' },
  )
}

/** @returns undefined for what is no requirement */
export function toRequirement(text: string, bare: Bare): string | undefined {
  const clauses = text.split(',').map(part => toClause(part.trim(), bare))
  return clauses.includes(undefined) ? undefined : clauses.join(', ')
}

function toClause(clause: string, bare: Bare): string | undefined {
  const [, operator, number = ''] = /^(~>|>=|<=|!=|=|>|<)\s*(\S+)$/.exec(clause) ?? []
  if (operator !== undefined) return valid(number) === null ? undefined : `${operator} ${number}`
  if (/^(latest|\*|x)$/.test(clause)) return '>= 0'
  const [, digits = '', wild, pre] =
    /^(?:ruby[- ])?v?(\d+(?:\.\d+){0,2})((?:\.[x*])+)?(?:-?p\d+)?(-?(?:preview|rc)\d+)?$/.exec(clause) ?? []
  if (digits === '') return undefined
  if (pre !== undefined) return `= ${digits}.${pre.replace('-', '')}`
  const parts = digits.split('.')
  if (wild !== undefined || parts.length < 3) return `~> ${digits}.0`
  return bare === 'exact' ? `= ${digits}` : `~> ${digits}`
}

/**
 * The Gemfile's `ruby "3.3.1"`, `ruby "~> 3.3", "< 3.4"` or `ruby file: ".ruby-version"`. What it computes only Bundler can tell,
 * which it does when it reads the Gemfile.
 */
async function fromGemfile(app: App, gemfile: string): Promise<Wish | undefined> {
  const lines = ((await app.read(gemfile)) ?? '').split('\n')
  const index = lines.findIndex(line => /^\s*ruby[\s(]/.test(line))
  if (index < 0) return undefined
  const args = (lines[index] ?? '').replace(/^\s*ruby[\s(]+/, '').replace(/\s#.*$/, '')
  const where = `${gemfile}:${index + 1}`
  const file = /^file:\s*["']([^"']+)["']/.exec(args)?.[1]
  if (file !== undefined) {
    const request = file === '.tool-versions' ? await fromToolFiles(app, 'ruby') : await fromVersionFile(app, file)
    if (request === undefined) {
      throw new BuildpackError(`${file} has no version of Ruby`, { where, fix: `write one into ${file}` })
    }
    return toWish({ ...request, where: `${where}, ${file}` }, 'exact')
  }
  const engine = /\bengine:\s*["'](\w+)["']/.exec(args)?.[1]
  if (engine !== undefined && engine !== 'ruby') {
    throw new BuildpackError(`the engine ${engine} is not supported`, { where, fix: 'use MRI, or a Dockerfile' })
  }
  const literals = /^(["'][^"'#]*["']\s*(?:,\s*(?=["']))?)+/.exec(args)?.[0]
  const values = Array.from((literals ?? '').matchAll(/["']([^"']*)["']/g), ([, value = '']) => value.trim())
  return values.length === 0 ? undefined : toWish({ value: values.join(', '), where }, 'exact')
}
