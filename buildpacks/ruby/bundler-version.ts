import { writeFile } from 'node:fs/promises'
import { type BuildContext, BuildpackError, firstSetting } from '../sdk/index.ts'
import { type Gemfile, type Lock, parseLock } from './lock-file.ts'

const settingOf = (env: BuildContext['env']) => firstSetting(env, 'BP_BUNDLER_VERSION')

/** `2.6` of `2.6`, `2.6.*` and `2.6.x`. */
const prefixOf = (text: string): string | undefined => /^v?(\d+(?:\.\d+){0,2})(?:\.[*x])*$/.exec(text)?.[1]

const meets = (version: string, prefix: string): boolean => `${version}.`.startsWith(`${prefix}.`)

/**
 * Makes Bundler switch to the version that a setting requests, through the lock file's line for the Bundler that wrote it.
 * @param bundled the Bundler that comes with Ruby
 * @throws BuildpackError before anything is installed, for an invalid version or one that Bundler would not switch to
 */
export async function useAskedBundler(
  { app, env, log }: BuildContext,
  bundled: string,
  gemfile: Gemfile,
  lock: Lock | undefined,
): Promise<Lock | undefined> {
  const setting = settingOf(env)
  if (setting === undefined) return lock
  const { name: where, value } = setting
  const prefix = prefixOf(value)
  const refuse = (message: string, fix: string) => new BuildpackError(message, { where, fix })
  if (prefix === undefined)
    throw refuse(`${JSON.stringify(value.slice(0, 100))} is not a version of Bundler`, `write for example ${bundled}`)
  if (lock?.bundler !== undefined && meets(lock.bundler, prefix)) return lock
  const version = meets(bundled, prefix) ? bundled : prefix
  if (version !== bundled && (prefix.split('.').length < 3 || prefix.startsWith('1.')))
    throw refuse(
      `Bundler ${value} is not available`,
      `the nearest is ${bundled}, which comes with Ruby; other versions are downloaded by their full version, from 2.0.0 on`,
    )
  if (lock === undefined) {
    if (version === bundled) return undefined
    throw refuse(
      `without ${gemfile.lockFile} Bundler ${bundled} runs, which comes with Ruby`,
      'commit one: bundle lock',
    )
  }
  log.info(`Bundler ${version}: ${where} asks for ${value}, and ${lock.file} names ${lock.bundler ?? 'none'}`)
  const rest = lock.text.replace(/\r?\n?BUNDLED WITH\r?\n.*(?:\r?\n)?/, '').replace(/\s*$/, '')
  const text = `${rest}\n\nBUNDLED WITH\n   ${version}\n`
  await writeFile(app.at(lock.file), text)
  return parseLock(text, lock.file)
}

/** @throws BuildpackError if a Bundler other than the requested one has installed the gems: the index does not have the requested one */
export function checkAskedBundler(env: BuildContext['env'], wanted: string | undefined, bundler: string): void {
  const setting = settingOf(env)
  if (setting === undefined || wanted === undefined || wanted === bundler) return
  throw new BuildpackError(
    `Bundler ${wanted} is not available from rubygems.org, where Bundler looks for its own versions`,
    {
      where: setting.name,
      fix: `the nearest is ${bundler}, which comes with Ruby: request that, or set a mirror that has the other version: BUNDLE_MIRROR__HTTPS://RUBYGEMS__ORG/ in .bundle/config`,
    },
  )
}
