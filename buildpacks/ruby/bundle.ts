import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuildContext, BuildpackError, digestOf, type RunOptions, sshFix } from '../sdk/index.ts'
import { type Gemfile, type Lock, parseLock } from './lock-file.ts'
import type { Ruby } from './runtime.ts'
import { type BundleSettings, formatConfig } from './settings.ts'

/** A gem that the application needs. */
export interface Gem {
  readonly name: string
  readonly version: string
  /** `ruby` for a gem whose C extensions are compiled here. */
  readonly platform: string
  /** Its origin, without a user name: a repository, or a git commit; for a path it is in the application. */
  readonly source: string
}

/** The gems of a Gemfile, as Bundler itself resolves them. */
export interface Bundle {
  readonly lock: Lock
  readonly gems: readonly Gem[]
  /** A digest of the gems, with their checksums if the lock file has them. */
  readonly digest: string
}

/** The environment in which Bundler runs in a build. */
export interface Tools {
  readonly ruby: Ruby
  readonly gemfile: Gemfile
  readonly settings: BundleSettings
  /** Credentials from bindings, as Bundler's settings. */
  readonly credentials: Readonly<Record<string, string>>
  readonly temp: string
}

/**
 * Reads the Gemfile, which is a program, and the lock file with Bundler, in every build: the gems of a Gemfile may depend on anything.
 * If the lock file fits, nothing is downloaded.
 * @throws BuildpackError if the two do not fit, or if there is no lock file and none can be created
 */
export async function readBundle(context: BuildContext, tools: Tools, locked: Lock | undefined): Promise<Bundle> {
  const { app, log } = context
  const { gemfile, temp } = tools
  let lock = locked
  if (lock === undefined) {
    log.warning(
      `there is no ${gemfile.lockFile}: the newest versions are installed, so builds may differ`,
      'Commit one: bundle lock',
    )
    await bundle(context, tools, ['lock'], join(temp, 'lock'), { BUNDLE_DEPLOYMENT: 'false' })
    lock = parseLock((await app.read(gemfile.lockFile)) ?? '', gemfile.lockFile)
  }
  const script = join(temp, 'select-gems.rb')
  await writeFile(script, selectGems)
  const options = await bundleOptions(context, tools, join(temp, 'select'))
  const result = await context.run([tools.ruby.program, '-rbundler', script], {
    ...options,
    quiet: true,
    allowFailure: true,
  })
  if (result.exitCode !== 0) throw bundleError(context, tools, 'Bundler', result.stdout + result.stderr)
  const gems = JSON.parse(result.stdout.split('\n').at(-2) ?? '[]') as Gem[]
  const names = new Set(gems.map(({ name }) => name))
  // bundler.io, "CHECKSUMS": `  pg (1.5.9) sha256=…`.
  const checksums = lock.text.split('\n').filter(line => names.has(/^ {2}(\S+) \(.*\) sha256=/.exec(line)?.[1] ?? ''))
  const texts = gems.flatMap(({ name, version, platform, source }) => [name, version, platform, source])
  return { lock, gems, digest: digestOf(...texts, ...checksums) }
}

/**
 * Prints in its last line the gems of the installed groups for this platform: a Gemfile may print as well. It uses Bundler's own
 * resolution (Bundler::Definition#requested_dependencies, SpecSet#for), without checking which gems are installed.
 */
const selectGems = `
require "json"
begin
  definition = Bundler.definition
  definition.validate_runtime!
  if Bundler.frozen_bundle?
    definition.ensure_equivalent_gemfile_and_lockfile
  end
  platform = Bundler.local_platform
  dependencies = definition.requested_dependencies
  specs = definition.resolve.for(dependencies, false, [platform])
rescue Bundler::BundlerError => e
  warn e.message
  exit e.status_code
end
gems = specs.to_a.reject { |spec| spec.name == "bundler" }.map do |spec|
  source = spec.source
  from = case source
         when Bundler::Source::Git then "#{source.uri}##{source.revision}"
         when Bundler::Source::Path then "path:#{source.path}"
         when Bundler::Source::Rubygems then source.remotes.join(" ")
         else source.to_s
         end
  { name: spec.name, version: spec.version.to_s, platform: spec.platform.to_s,
    source: from.gsub(%r{(://)[^/@\\s]+@}, '\\\\1') }
end
puts
puts JSON.generate(gems.sort_by { |gem| [gem[:name], gem[:version], gem[:platform]] })
`

/**
 * Runs a Bundler command.
 * @param dir a directory for its configuration
 */
export async function bundle(
  context: BuildContext,
  tools: Tools,
  args: readonly string[],
  dir: string,
  settings: Readonly<Record<string, string>>,
): Promise<void> {
  const options = await bundleOptions(context, tools, dir, settings)
  const program = join(tools.ruby.program, '../bundle')
  const result = await context.run([tools.ruby.program, program, ...args], {
    ...options,
    ...(args[0] === 'install' && { step: 'install', name: 'bundle install' }),
    allowFailure: true,
  })
  if (result.exitCode === 0) return
  const output = result.stdout + result.stderr
  await showCompilerLog(context, output)
  throw bundleError(context, tools, `bundle ${args.join(' ')}`, output, result.exitCode)
}

/** Shows the end of the log with compiler messages, which mkmf, the tool that configures extensions, writes. */
async function showCompilerLog({ log }: BuildContext, output: string): Promise<void> {
  const path = /^\s*(\/\S+\/mkmf\.log)\s*$/m.exec(output)?.[1]
  const text = path === undefined ? '' : await readFile(path, 'utf8').catch(() => '')
  if (text !== '') log.detail(`${path}:\n${text.trimEnd().split('\n').slice(-30).join('\n')}`)
}

/** Variables, and a separate configuration, which Bundler prefers to the variables. */
async function bundleOptions(
  { env }: BuildContext,
  { ruby, gemfile, settings, credentials, temp }: Tools,
  dir: string,
  more: Readonly<Record<string, string>> = {},
): Promise<RunOptions> {
  await mkdir(dir, { recursive: true })
  const all = {
    ...settings.others,
    ...credentials,
    BUNDLE_WITHOUT: settings.without,
    BUNDLE_DEPLOYMENT: 'true',
    BUNDLE_PATH: join(temp, 'none'),
    ...more,
  }
  await writeFile(join(dir, 'config'), formatConfig(all))
  return {
    env: {
      ...ruby.env,
      BUNDLE_APP_CONFIG: dir,
      BUNDLE_GEMFILE: gemfile.file.startsWith('/') ? gemfile.file : undefined,
      BUNDLE_SILENCE_ROOT_WARNING: 'true',
      BUNDLE_IGNORE_MESSAGES: 'true',
      RUBYOPT: undefined,
      GEM_HOME: undefined,
      GEM_PATH: undefined,
      HOME: env['HOME'] ?? temp,
    },
  }
}

/** The error with Bundler's message, and a fix if the message indicates one. */
function bundleError(
  { log, target }: BuildContext,
  { gemfile }: Tools,
  name: string,
  output: string,
  exitCode?: number,
): BuildpackError {
  if (exitCode === undefined) log.detail(output.trim())
  const platform = target.arch === 'arm64' ? 'aarch64-linux' : 'x86_64-linux'
  const advice: readonly (readonly [RegExp, string])[] = [
    [
      /only supports platforms|Add the current platform/i,
      `bundle lock --add-platform ${platform}, and commit ${gemfile.lockFile}`,
    ],
    [/Your Ruby version is|ruby version.*(?:required|specified)/i, `request the available Ruby in ${gemfile.file}`],
    [
      /frozen|deployment mode|lockfile.*(?:out of sync|does not|missing)|dependencies.*(?:changed|deleted|added)/is,
      `run bundle install, and commit ${gemfile.lockFile}`,
    ],
    [
      /Authentication is required|Bad username or password/,
      'give a user and a password: --secret id=gems,src=FILE,type=bundler,key=HOST, with user:password in the file',
    ],
    [
      /Could not (?:reach host|fetch specs)|Network error|getaddrinfo|Connection refused|execution expired/i,
      `check the network, and the source lines of ${gemfile.file}`,
    ],
    [
      /Could not find (?:gem )?['"]?\S+|Could not find compatible versions|not found in any/i,
      `correct the version in ${gemfile.file}, or its sources`,
    ],
    [
      /Failed to build gem native extension|mkmf|extconf failed/i,
      'add the Debian packages of the missing headers to an Aptfile',
    ],
  ]
  const fix = sshFix(output) ?? advice.find(([pattern]) => pattern.test(output))?.[1]
  const status = exitCode === undefined ? 'cannot read it' : `failed with exit status ${exitCode}`
  return new BuildpackError(`${name} ${status}`, { where: gemfile.file, fix })
}
