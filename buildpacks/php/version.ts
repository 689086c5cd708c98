import {
  BuildpackError,
  type Context,
  firstSetting,
  fromEach,
  fromToolFiles,
  fromVersionFile,
  type VersionRequest,
} from '../sdk/index.ts'
import { type Constraint, numbersOf, parseConstraint } from './constraint.ts'
import type { Lock, Manifest } from './project.ts'

/** A version that some place asks for. */
export interface Wish extends VersionRequest {
  readonly meets: Constraint
}

/** What all places come to. */
export interface Wanted {
  /** Those that have to be met: a setting, and what Composer itself holds against the PHP that runs it. */
  readonly musts: readonly Wish[]
  /** Others, for warnings. */
  readonly wishes: readonly Wish[]
}

/**
 * What the application asks for. A bare release in a setting or a file of a version manager accepts later patches of it, as those
 * only mend faults; that of composer.json is exact, as Composer refuses any other.
 * @throws BuildpackError for what is no version
 */
export async function wantedPhp(
  { app, env }: Pick<Context, 'app' | 'env'>,
  manifest: Manifest | undefined,
  lock: Lock | undefined,
): Promise<Wanted> {
  const setting = firstSetting(
    env,
    'BP_PHP_VERSION',
    ...(/php/i.test(env['GOOGLE_RUNTIME'] ?? 'php') ? ['GOOGLE_RUNTIME_VERSION'] : []),
    'RAILPACK_PHP_VERSION',
  )
  const declared = manifest?.require['php'] ?? manifest?.require['php-64bit']
  const locked = lock?.platform['php']
  const first = setting && toWish({ value: setting.value, where: setting.name }, 'patches')
  const required =
    declared !== undefined
      ? toWish({ value: declared, where: `${manifest?.file} require.php` }, 'exact')
      : locked === undefined
        ? undefined
        : toWish({ value: locked, where: `${lock?.file} platform.php` }, 'exact')
  const files = (await fromEach([fromVersionFile(app, '.php-version'), fromToolFiles(app, 'php')])).map(request =>
    toWish(request, 'patches'),
  )
  const platform =
    manifest?.platformPhp === undefined
      ? []
      : [toWish({ value: manifest.platformPhp, where: `${manifest.file} config.platform.php` }, 'patches')]
  const musts = [first, required].filter(wish => wish !== undefined)
  const rest = [...platform, ...files]
  return musts.length > 0 ? { musts, wishes: rest } : { musts: rest.slice(0, 1), wishes: rest.slice(1) }
}

/**
 * Holds the version that is on offer against what is asked for.
 * @returns warnings of places that ask for another
 * @throws BuildpackError if one that has to be met is not
 */
export function checkVersion({ musts, wishes }: Wanted, offered: string): string[] {
  const numbers = numbersOf(offered)
  if (numbers === undefined) throw new BuildpackError(`Debian's PHP has the version ${offered}, which is none`)
  const minor = `${numbers[0]}.${numbers[1]}`
  for (const { value, where, meets } of musts) {
    if (meets(numbers)) continue
    const write = / (?:require|platform)\.php$/.test(where) ? `"^${minor}"` : minor
    throw new BuildpackError(`asks for PHP ${value}, which is not to be had`, {
      where,
      fix: `the nearest is ${offered}, the one that Debian 13 has: write ${write} if the application runs on it`,
    })
  }
  return wishes
    .filter(({ meets }) => !meets(numbers))
    .map(({ value, where }) => `${where} asks for PHP ${value}, and the image has ${offered}`)
}

/** Whether a bare release stands for itself alone, or for later patches of it as well. */
type Bare = 'exact' | 'patches'

function toWish(request: VersionRequest, bare: Bare): Wish {
  const { where } = request
  const value = request.value.trim().slice(0, 200)
  const meets = parseConstraint(bare === 'patches' ? withPatches(value) : value)
  if (meets !== undefined) return { value, where, meets }
  throw new BuildpackError(`${JSON.stringify(value)} is not a version of PHP`, {
    where,
    fix: 'write one such as 8.4 or ^8.2',
  })
}

/** `8` is any of 8, `8.4` any of 8.4, and `8.4.1` that or a later patch. Names of newest releases are any. */
function withPatches(text: string): string {
  if (/^(latest|stable|default)$/i.test(text)) return '*'
  const digits = /^(?:php[- ]?)?v?(\d+(?:\.\d+){0,2})$/i.exec(text)?.[1]
  if (digits === undefined) return text
  return digits.split('.').length < 3 ? `${digits}.*` : `~${digits}`
}
