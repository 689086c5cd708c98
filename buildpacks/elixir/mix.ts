import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bindingsOf, type BuildContext, BuildpackError, type RunOptions, sshFix } from '../sdk/index.ts'
import type { Toolchain } from './runtime.ts'

/** Runs Mix tasks. */
export interface Mix {
  /** `prod`, unless MIX_ENV says otherwise. */
  readonly mixEnv: string
  /** @throws BuildpackError, with a fix if Mix's output indicates one */
  run(args: readonly string[], options?: Pick<RunOptions, 'cwd' | 'quiet' | 'step'>): Promise<string>
}

/** Secrets that the operator gives to the running application. A build must not have them, since its result is published. */
const launchSecrets = ['SECRET_KEY_BASE', 'RELEASE_COOKIE'] as const

/**
 * @param temp the directory for the homes of Mix and Hex, which is removed after the build
 * @throws BuildpackError if several bindings have a configuration of Hex
 */
export async function mixWith(context: BuildContext, { bin, rebar, native }: Toolchain, temp: string): Promise<Mix> {
  const { env, log, run } = context
  const mixEnv = env['MIX_ENV'] || 'prod'
  for (const name of launchSecrets) {
    if (env[name]) log.warning(`${name} is for run time, so the build ignores it`, 'Set it when you run the image.')
  }
  const hexHome = join(temp, 'hex')
  await provideHexConfig(context, hexHome)
  const variables = {
    ...native.env,
    ...Object.fromEntries(launchSecrets.map(name => [name, undefined])),
    PATH: `${bin}:${env['PATH'] ?? ''}`,
    MIX_ENV: mixEnv,
    MIX_HOME: join(temp, 'mix'),
    HEX_HOME: hexHome,
    MIX_REBAR3: rebar,
    REBAR_CACHE_DIR: join(temp, 'rebar3'),
    HOME: join(temp, 'home'),
    HEX_CACERTS_PATH: env['HEX_CACERTS_PATH'] || env['SSL_CERT_FILE'] || '/etc/ssl/certs/ca-certificates.crt',
    MIX_DEPS_PATH: undefined,
    MIX_BUILD_PATH: undefined,
    MIX_BUILD_ROOT: undefined,
  }
  return {
    mixEnv,
    async run(args, options = {}) {
      const name = `mix ${args.join(' ')}`
      const result = await run([join(bin, 'mix'), ...args], { ...options, name, env: variables, allowFailure: true })
      const output = result.stdout + result.stderr
      if (result.exitCode === 0) return output
      if (options.quiet === true) log.detail(output.trim())
      throw new BuildpackError(`${name} failed with exit status ${result.exitCode}`, {
        where: 'mix.exs',
        fix: adviceOn(output),
      })
    },
  }
}

/**
 * Provides repositories and their keys, in the format in which `mix hex.repo add` and `mix hex.organization auth` write them to
 * hex.config.
 */
async function provideHexConfig(context: BuildContext, home: string): Promise<void> {
  const bindings = await bindingsOf(context, 'hex')
  const [first, second] = bindings
  if (first === undefined) return
  const where = `the binding ${first.name}`
  if (second !== undefined) {
    throw new BuildpackError(`the binding ${second.name} also has the type hex`, {
      where,
      fix: 'put all repositories into one hex.config',
    })
  }
  const text = await first.read('hex.config')
  if (text === undefined) {
    throw new BuildpackError('has no hex.config', { where, fix: 'name the key of the file hex.config' })
  }
  await mkdir(home, { recursive: true, mode: 0o700 })
  await writeFile(join(home, 'hex.config'), `${text}\n`, { mode: 0o600 })
  context.log.info(`Hex uses the repositories of ${where}`)
}

/** The fix, if the output of Mix, Hex or the configuration indicates one. */
export function adviceOn(whole: string): string | undefined {
  // Hex sometimes checks for a newer version of itself, and continues without an answer.
  const output = whole.replace(/^Failed to check for new Hex version\n.*$/m, '')
  const ssh = sshFix(output)
  if (ssh !== undefined) return ssh
  const variable =
    /could not fetch environment variable "(\w+)"/.exec(output)?.[1] ??
    /environment variable (\w+) is missing/.exec(output)?.[1]
  if (variable !== undefined) {
    return `read ${variable} in config/runtime.exs, which the running image evaluates, and not in the configuration of the build`
  }
  const advice: readonly (readonly [RegExp, string])[] = [
    [/Unknown repository/, 'give Hex the repository: --secret id=hex,src=FILE,type=hex,key=hex.config'],
    [/Unknown package|No package with name/, 'correct the name in mix.exs, or add the repository that has it'],
    [/version solving failed|Hex dependency resolution failed/i, 'correct the requirements in mix.exs'],
    [
      /lock mismatch|--check-locked|lockfile is out of date|[Uu]pdate(?:s|d)? the lock/,
      'run mix deps.get, and commit mix.lock',
    ],
    [
      /unauthori[sz]ed|HTTP 40[13]|\b40[13]\b.*repo/i,
      'give Hex its configuration with the key: --secret id=hex,src=FILE,type=hex,key=hex.config, or HEX_API_KEY',
    ],
    [
      /nxdomain|econnrefused|Failed to fetch record|:timeout|failed_connect|could not resolve host/i,
      'check the network; HEX_MIRROR names a mirror of Hex',
    ],
    [
      /umbrella.*release|release.*umbrella/is,
      'name its applications in mix.exs: releases: [shop: [applications: [shop_web: :permanent]]]',
    ],
    [/multiple releases|:default_release/, 'set BP_MIX_RELEASE to the name of the release'],
    [
      /Could not find application|could not find application file|:undefined application/i,
      'leave out the application, or mark it as optional',
    ],
    [
      /(?:npm|yarn|node|npx)(?:: command)? not found|enoent.*(?:npm|node)/i,
      'add a package.json to assets/, which installs Node.js',
    ],
  ]
  return advice.find(([pattern]) => pattern.test(output))?.[1]
}
