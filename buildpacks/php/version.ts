import {
  BuildpackError,
  type Context,
  firstSetting,
  fromEach,
  fromToolFiles,
  fromVersionFile,
  type VersionRequest,
} from '../sdk/index.ts'
import { checkOffered, type Wanted, wantedOf, type Wish } from '../debian/offered-version.ts'
import { type Numbers, numbersOf, parseConstraint } from './constraint.ts'
import type { Lock, Manifest } from './project.ts'

/**
 * The versions that the application requests. A bare release in a setting or a file of a version manager also accepts later patches,
 * since these only fix faults. One in composer.json is exact, as Composer refuses any other.
 * @throws BuildpackError for an invalid version
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
  return wantedOf([first, required], [...platform, ...files])
}

/** `checkOffered` for PHP. */
export const checkVersion = (wanted: Wanted, releases: readonly [string, ...string[]]): string[] =>
  checkOffered(wanted, 'PHP', releases, ({ where }, minor) =>
    / (?:require|platform)\.php$/.test(where) ? `"^${minor}"` : minor,
  )

/** Whether a bare release means only itself, or also later patches. */
type Bare = 'exact' | 'patches'

function toWish(request: VersionRequest, bare: Bare): Wish {
  const { where } = request
  const value = request.value.trim().slice(0, 200)
  const constraint = parseConstraint(bare === 'patches' ? withPatches(value) : value)
  if (constraint !== undefined) return { value, where, meets: release => constraint(requireNumbers(release)) }
  throw new BuildpackError(`${JSON.stringify(value)} is not a version of PHP`, {
    where,
    fix: 'write one such as 8.4 or ^8.2',
  })
}

/** The numbers of Debian's own release, which always has them. */
function requireNumbers(release: string): Numbers {
  const numbers = numbersOf(release)
  if (numbers === undefined) throw new BuildpackError(`Debian's PHP has the invalid version ${release}`)
  return numbers
}

/** `8` accepts any 8, `8.4` any 8.4, and `8.4.1` that or a later patch. Names for the newest release accept any. */
function withPatches(text: string): string {
  if (/^(latest|stable|default)$/i.test(text)) return '*'
  const digits = /^(?:php[- ]?)?v?(\d+(?:\.\d+){0,2})$/i.exec(text)?.[1]
  if (digits === undefined) return text
  return digits.split('.').length < 3 ? `${digits}.*` : `~${digits}`
}
