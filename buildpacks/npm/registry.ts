import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import semver from 'semver'
import { type BuildContext, BuildpackError, withTempDir } from '../sdk/index.ts'
import { npmrcFrom, npmSettingsFrom } from './settings.ts'

/** A copy of npm on disk. */
export interface Npm {
  readonly version: string
  /** The package's directory, with `bin/npm-cli.js`. */
  readonly dir: string
}

type RegistryContext = Pick<BuildContext, 'app' | 'env' | 'run'>

/** Variables for programs that use a registry or run an application's scripts. */
export function npmEnv(env: Readonly<Record<string, string>>, cache: string): Record<string, string> {
  return {
    npm_config_cache: cache,
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    npm_config_progress: 'false',
    npm_config_update_notifier: 'false',
    // Errors are shown. A log file would be gone before anybody could read it.
    npm_config_logs_max: '0',
    // The default is 70 seconds until npm reports that there is no network.
    npm_config_fetch_retry_mintimeout: '1000',
    // Otherwise node_modules/.package-lock.json would name the registry of this build.
    npm_config_omit_lockfile_registry_resolved: 'true',
    // Node has its own certificates; the image may have others, for example a proxy's.
    NODE_EXTRA_CA_CERTS: env['NODE_EXTRA_CA_CERTS'] ?? env['SSL_CERT_FILE'] ?? '/etc/ssl/certs/ca-certificates.crt',
  }
}

/** npm's registry, with the application's and the user's settings, but without the application's package.json. */
export class Registry {
  readonly #context: RegistryContext
  readonly #npm: Npm
  readonly #versions = new Map<string, Promise<string[]>>()

  constructor(context: RegistryContext, npm: Npm) {
    this.#context = context
    this.#npm = npm
  }

  /** All published versions of a package, requested only once. */
  versions(name: string): Promise<string[]> {
    const known = this.#versions.get(name)
    if (known !== undefined) return known
    const found = this.#published(name)
    this.#versions.set(name, found)
    return found
  }

  async #published(name: string): Promise<string[]> {
    const { stdout } = await this.#npmCommand('view', [name, 'versions', '--json'])
    const parsed: unknown = JSON.parse(stdout)
    // A package with one version gets a string.
    const list: unknown[] = Array.isArray(parsed) ? parsed : [parsed]
    return list.filter((version): version is string => typeof version === 'string' && semver.valid(version) !== null)
  }

  /**
   * Downloads a package, which npm checks against the registry's digest, and unpacks it into `dir`.
   * @returns false if the version does not exist
   */
  async unpack(
    name: string,
    version: string,
    dir: string,
    expected?: { readonly hash?: string; readonly where: string },
  ): Promise<boolean> {
    return withTempDir(async temp => {
      const unknown = /\bcode E(TARGET|NOTARGET)\b/
      const args = [`${name}@${version}`, '--pack-destination', temp, '--loglevel=error']
      const { exitCode } = await this.#npmCommand('pack', args, unknown)
      if (exitCode !== 0) return false
      if (expected?.hash !== undefined) await checkArchive(temp, expected.hash, `${name} ${version}`, expected.where)
      const script = 'exec tar -xzf "$1"/*.tgz -C "$2" --strip-components=1'
      await this.#context.run(['sh', '-c', script, 'sh', temp, dir], { name: `unpacking ${name}`, quiet: true })
      return true
    })
  }

  /** Runs npm in a directory with the application's .npmrc but without its package.json, which may forbid this Node or npm. */
  async #npmCommand(command: string, args: readonly string[], expected?: RegExp) {
    return withTempDir(async cwd => {
      const { app, env, run } = this.#context
      await writeFile(join(cwd, 'package.json'), '{}')
      const npmrc = await app.read('.npmrc')
      if (npmrc !== undefined) await writeFile(join(cwd, '.npmrc'), npmrcFrom(app.path, npmrc, env))
      const cli = join(this.#npm.dir, 'bin/npm-cli.js')
      const result = await run([process.execPath, cli, command, ...args], {
        cwd,
        env: { ...npmEnv(env, join(cwd, '.cache')), ...npmSettingsFrom(app.path, env) },
        quiet: true,
        allowFailure: true,
      })
      if (result.exitCode === 0 || expected?.test(result.stderr) === true) return result
      throw new BuildpackError(`npm ${command} ${args[0]} failed:\n${result.stderr.trim()}`, {
        fix: adviceFor(args[0] ?? '', result.stderr),
      })
    })
  }
}

/** The hint for users of a registry of their own, who may not expect that the runtime comes from there too. */
function adviceFor(spec: string, stderr: string): string {
  const name = spec.replace(/(?<=.)@.*/, '')
  const isRuntime = name.startsWith('node-')
  const what = isRuntime ? `Node.js itself is downloaded from this registry, as the package ${name}` : ''
  if (/\bcode E404\b/.test(stderr)) {
    const fix = `put ${name} into the registry that .npmrc or NPM_CONFIG_REGISTRY names, or name one that has npm's packages`
    return [what, fix].filter(Boolean).join(': ')
  }
  const fix = 'check the network, the registry in .npmrc or NPM_CONFIG_REGISTRY, and its credentials'
  return [fix, what].filter(Boolean).join('; ')
}

/** Compares an archive with Corepack's digest: `sha512.0a1b…`. */
async function checkArchive(dir: string, expected: string, name: string, where: string): Promise<void> {
  const [, algorithm = '', digest = ''] = /^(sha\d+)\.([0-9a-f]+)$/.exec(expected) ?? []
  const file = (await readdir(dir)).find(entry => entry.endsWith('.tgz'))
  if (algorithm === '' || file === undefined) {
    throw new BuildpackError(`${JSON.stringify(expected.slice(0, 200))} is not a digest`, {
      where,
      fix: 'run "corepack use", which writes one, or leave out what follows the plus sign',
    })
  }
  const actual = createHash(algorithm)
    .update(await readFile(join(dir, file)))
    .digest('hex')
  if (actual === digest) return
  throw new BuildpackError(`the registry's ${name} has the digest ${algorithm}.${actual}, not ${expected}`, {
    where,
    fix: 'find out why before you use it: check the registry, and what names the digest',
  })
}
