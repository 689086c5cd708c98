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
import { checkOffered, type Wanted, wantedOf, type Wish } from '../debian/offered-version.ts'
import type { Lock } from './lock-file.ts'

/**
 * The version that the application requests. A bare release in a file of a version manager also accepts later patches, since these only
 * fix faults. One in a Gemfile is exact, as Bundler refuses any other.
 * @param gemfile the Gemfile's name; undefined if there is none
 * @throws BuildpackError for a text that is not a version of Ruby
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
  return wantedOf([first, declared], [locked, ...files])
}

/** `checkOffered` for Ruby. */
export const checkVersion = (
  wanted: Wanted,
  releases: readonly [string, ...string[]],
  others: readonly string[] = [],
): string[] => {
  const spell = ({ where }: VersionRequest, minor: string) =>
    where.startsWith('Gemfile') || where.startsWith('gems.rb') ? `ruby "~> ${minor}"` : minor
  return checkOffered(wanted, 'Ruby', releases, spell, others)
}

/** Whether a bare release means only itself, or also later patches. */
type Bare = 'exact' | 'patches'

function toWish({ value, where }: VersionRequest, bare: Bare): Wish {
  const requirement = toRequirement(value, bare)
  if (requirement !== undefined) return { value, where, meets: release => satisfies(release, requirement) }
  const engine = /^(j|truffle|m)ruby|rbx|artichoke/i.exec(value.trim())?.[0]
  throw new BuildpackError(
    engine === undefined
      ? `${JSON.stringify(value.slice(0, 100))} is not a version of Ruby`
      : `${value.slice(0, 100)} is not supported`,
    { where, fix: 'write a version of MRI, such as 3.3' },
  )
}

/** @returns undefined for an invalid requirement */
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
 * The Gemfile's `ruby "3.3.1"`, `ruby "~> 3.3", "< 3.4"` or `ruby file: ".ruby-version"`. Only Bundler can evaluate a computed
 * requirement, which it does when it reads the Gemfile.
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
