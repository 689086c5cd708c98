import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type App, BuildpackError, digestOf } from '../sdk/index.ts'

type Env = Readonly<Record<string, string>>

/** Settings that the build controls: the place and the selection of gems. `BUNDLE_FROZEN` is part of `BUNDLE_DEPLOYMENT`. */
const own = ['PATH', 'DEPLOYMENT', 'FROZEN', 'BIN', 'SYSTEM_BINDIR', 'PATH__SYSTEM', 'CLEAN', 'APP_CONFIG', 'GEMFILE']
/** Settings for downloading gems: none of these changes the selection. */
const way = /^(?:JOBS|RETRY|TIMEOUT|SSL_\w+|SILENCE_\w+|USER_\w+|DISABLE_\w+|IGNORE_MESSAGES|VERSION)$/
/** Compiler settings, and the usual switches of gems that either include a library or use the system's. */
const compilers = /^(?:CFLAGS|CPPFLAGS|CXXFLAGS|LDFLAGS|CC|CXX|PKG_CONFIG_PATH|MAKEFLAGS|\w+_USE_SYSTEM_LIBRARIES)$/

/** Bundler's settings for a build, from the application's .bundle/config and the user's variables. */
export interface BundleSettings {
  /** Excluded groups, in Bundler's format: `development:test`. */
  readonly without: string
  /** The other settings of .bundle/config, by the names of variables. */
  readonly others: Readonly<Record<string, string>>
  /** A digest of all settings that affect the installed gems. */
  readonly digest: string
}

/**
 * Reads the settings. Bundler prefers .bundle/config to variables (bundler.io, "bundle config"). Paths in that file would send gems
 * outside of the image, so they are left out.
 * @throws BuildpackError for a line that cannot be understood
 */
export async function readSettings(app: App, env: Env): Promise<BundleSettings> {
  const file = parseConfig((await app.read('.bundle/config')) ?? '', '.bundle/config')
  const home = await readFile(join(env['HOME'] ?? '/', '.bundle/config'), 'utf8').catch(() => '')
  const fromEnv = Object.fromEntries(Object.entries(env).filter(([name]) => name.startsWith('BUNDLE_')))
  const all = { ...parseConfig(home, '~/.bundle/config'), ...fromEnv, ...file }
  const others = Object.fromEntries(
    Object.entries(file).filter(([name]) => !own.includes(settingOf(name)) && settingOf(name) !== 'WITHOUT'),
  )
  const relevant = Object.keys(all).filter(name => !own.includes(settingOf(name)) && !way.test(settingOf(name)))
  const compiled = Object.keys(env).filter(name => compilers.test(name))
  return {
    without: (all['BUNDLE_WITHOUT'] ?? 'development:test').trim().replaceAll(/[\s,]+/g, ':'),
    others,
    digest: digestOf(
      ...relevant
        .filter(name => !isCredential(name))
        .toSorted()
        .flatMap(name => [name, withoutUser(all[name] ?? '')]),
      ...compiled.toSorted().flatMap(name => [name, env[name] ?? '']),
    ),
  }
}

/** The text of a configuration for Bundler. */
export function formatConfig(settings: Readonly<Record<string, string>>): string {
  return `---\n${Object.entries(settings)
    .map(([name, value]) => `${name}: ${JSON.stringify(value)}\n`)
    .join('')}`
}

/** Parses Bundler's own subset of YAML: a line for each setting, with a plain or quoted value. A list has lines of its own. */
export function parseConfig(text: string, where: string): Record<string, string> {
  const settings: Record<string, string> = {}
  let last = ''
  for (const [index, line] of text.split('\n').entries()) {
    if (/^\s*(?:#.*|---.*)?$/.test(line)) continue
    const item = /^\s*-\s+["']?(.*?)["']?\s*$/.exec(line)?.[1]
    if (item !== undefined && last !== '') {
      settings[last] = [settings[last], item].filter(Boolean).join(':')
      continue
    }
    const [, name, value = ''] = /^(BUNDLE_[^\s:]+(?::[^\s:]+)*):(?:\s+(.*))?$/.exec(line.trimEnd()) ?? []
    if (name === undefined) {
      throw new BuildpackError('is not a setting of Bundler', {
        where: `${where}:${index + 1}`,
        fix: 'write it as bundle config does: BUNDLE_JOBS: "4"',
      })
    }
    last = name
    settings[name] = value.replace(/^(["'])(.*)\1$/, '$2')
  }
  return settings
}

const settingOf = (name: string): string => name.slice('BUNDLE_'.length)
/** `BUNDLE_GEMS__EXAMPLE__COM`: two underscores stand for a dot in a host's name. */
export const isCredential = (name: string): boolean => /__/.test(name) && !/^BUNDLE_(?:MIRROR|BUILD|LOCAL)__/.test(name)
/** A URL without user and password: tokens change while the source stays the same. */
const withoutUser = (url: string): string => url.replaceAll(/(:\/\/)[^/@\s]+@/g, '$1')
