import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { formatToml } from '../../lifecycle/spec/toml.ts'
import { bundledNpm } from '../npm/bundled.ts'
import { Registry } from '../npm/registry.ts'
import { type BuildContext, BuildpackError, mirrorOf, type RunOptions } from '../sdk/index.ts'

const version = '2026.9.15'
/** npm's package with the program, and its digest. The package for arm64 is not in npm's registry. */
const packages: Readonly<Record<string, { readonly name: string; readonly hash: string } | undefined>> = {
  amd64: {
    name: '@jdxcode/mise-linux-x64',
    hash: 'sha512.06eb4f146cb3b4dd1193f1ce1ef1ee7fe5bcd0292f4110236c3587be11897373e72f77b62a10986483b28f1f303e486bf5525affbb09657a71b6de492e3b1f69',
  },
}

/** A tool of mise, and the hosts that mise downloads its builds from. */
export interface MiseTool {
  /** mise's name: `java`, `github:jdx/ruby`. */
  readonly name: string
  /** mise's option for archives of several machines: `ruby-*.x86_64_linux.tar.gz`. */
  readonly archives?: string
  /** `https://github.com`: each may have a mirror. */
  readonly hosts: readonly string[]
}

/** An archive that is not the published one, or that has no published digest. Nothing else may be used in its place without a word. */
export class UntrustedArchive extends BuildpackError {}

const fix = 'check the network; BP_DEPENDENCY_MIRROR can name a mirror that this build can reach'

/** Whether mise has a program for the architecture. */
export const hasMise = (arch: string): boolean => packages[arch] !== undefined

/**
 * mise, which knows the builds of runtimes that neither Debian nor a package registry has. It is in the cache and never in an image.
 */
export class Mise {
  readonly #context: BuildContext
  readonly #tool: MiseTool
  readonly #temp: string
  #ready: Promise<Runnable> | undefined

  /** @param temp a directory that is removed after the build */
  constructor(context: BuildContext, tool: MiseTool, temp: string) {
    this.#context = context
    this.#tool = tool
    this.#temp = join(temp, 'mise')
  }

  /** The names of all builds for this machine: `temurin-21.0.5+11.0.LTS`. */
  async list(): Promise<string[]> {
    const { stdout } = await this.#run(['ls-remote', '--json', this.#tool.name], { quiet: true })
    const found = JSON.parse(stdout) as readonly { readonly version: string }[]
    return found.map(build => build.version)
  }

  /**
   * Installs a build that `list` has.
   * @param dir does not exist yet
   * @throws UntrustedArchive if the archive is not the published one
   * @throws BuildpackError if it is out of reach
   */
  async install(build: string, dir: string): Promise<void> {
    const { name, archives } = this.#tool
    const options = archives === undefined ? '' : `[asset_pattern=${archives}]`
    const args = ['install-into', `${name}${options}@${build}`, dir] as const
    const { exitCode, stderr } = await this.#run(args, { allowFailure: true })
    if (/checksum mismatch/i.test(stderr))
      throw new UntrustedArchive(`the archive of ${name} ${build} does not have its published digest`, {
        fix: 'build again; if the error stays, check the mirror or proxy that the archive comes from',
      })
    if (exitCode !== 0) throw new BuildpackError(`mise ${args.join(' ')} failed with exit status ${exitCode}`, { fix })
    // mise also takes an archive without a published digest.
    if (/\bchecksum\b/.test(stderr)) return
    throw new UntrustedArchive(`${name} ${build} has no published digest, so its archive cannot be checked`, {
      fix: 'ask for another version or vendor',
    })
  }

  async #run(args: readonly [string, ...string[]], options: Pick<RunOptions, 'quiet' | 'allowFailure'>) {
    const { program, env } = await (this.#ready ??= this.#prepare())
    return this.#context.run([program, ...args], {
      // In the application's directory mise would read its mise.toml, which may name tools and run programs.
      cwd: this.#temp,
      env,
      name: `mise ${args.join(' ')}`,
      fix,
      ...options,
    })
  }

  async #prepare(): Promise<Runnable> {
    const program = await provideProgram(this.#context)
    await mkdir(this.#temp, { recursive: true })
    const config = join(this.#temp, 'config.toml')
    const settings = { url_replacements: await mirrors(this.#context, this.#tool) }
    await writeFile(config, formatToml({ settings }), { mode: 0o600 })
    const at = (name: string) => join(this.#temp, name)
    const { env } = this.#context
    return {
      program,
      env: {
        MISE_GLOBAL_CONFIG_FILE: config,
        MISE_CONFIG_DIR: at('config'),
        MISE_SYSTEM_CONFIG_DIR: at('system'),
        MISE_DATA_DIR: at('data'),
        MISE_CACHE_DIR: at('cache'),
        MISE_STATE_DIR: at('state'),
        MISE_CEILING_PATHS: this.#temp,
        MISE_YES: '1',
        // By default mise waits 44 seconds for a list that is out of reach.
        MISE_HTTP_RETRIES: env['MISE_HTTP_RETRIES'] ?? '1',
        MISE_FETCH_REMOTE_VERSIONS_TIMEOUT: env['MISE_FETCH_REMOTE_VERSIONS_TIMEOUT'] ?? '10s',
        // mise reads one page of a list of releases by default.
        MISE_LIST_ALL_VERSIONS: '1',
        // mise would count the installation.
        MISE_USE_VERSIONS_HOST_TRACK: '0',
        NO_COLOR: '1',
        // The build image's store also has the certificates of intercepting proxies.
        SSL_CERT_FILE: env['SSL_CERT_FILE'] ?? '/etc/ssl/certs/ca-certificates.crt',
      },
    }
  }
}

interface Runnable {
  readonly program: string
  readonly env: Readonly<Record<string, string>>
}

async function provideProgram(context: BuildContext): Promise<string> {
  const { arch } = context.target
  const source = packages[arch]
  if (source === undefined)
    throw new BuildpackError(`there is no mise for ${arch}, which knows other versions than Debian's`, {
      fix: 'ask for a version that Debian has, or build for amd64',
    })
  const layer = await context.layer('mise', {
    title: `mise ${version}`,
    types: { cache: true },
    key: { mise: version, architecture: arch },
    create: async dir => {
      const registry = new Registry(context, await bundledNpm(context.buildpack.dir))
      const expected = { hash: source.hash, where: `${source.name} ${version}` }
      if (!(await registry.unpack(source.name, version, dir, expected)))
        throw new BuildpackError(`the npm registry does not have ${source.name} ${version}`, {
          fix: 'put it into the registry that NPM_CONFIG_REGISTRY or .npmrc names, or name one that has it',
        })
    },
  })
  context.seal(layer)
  return join(layer.path, 'bin/mise')
}

/** mise's setting for each host that has a mirror. */
async function mirrors(context: BuildContext, { hosts }: MiseTool): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  const places = new Set<string>()
  for (const host of hosts) {
    const mirror = await mirrorOf(context, host)
    if (mirror === undefined) continue
    found[host] = mirror.url
    places.add(mirror.where)
  }
  if (places.size > 0) context.log.info(`mise downloads from the mirror of ${[...places].join(', ')}`)
  return found
}
