import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { NativePackages } from '../debian/native-libraries.ts'
import { type BuildContext, keepGit } from '../sdk/index.ts'
import type { Pip, Python } from './runtime.ts'
import { installError } from './settings.ts'
import type { LockToolUse } from './tools.ts'

export interface Tools {
  readonly python: Python
  readonly pip: Pip
  /** Directories of headers that are not at the interpreter's own path. */
  readonly include: readonly string[]
  /** A directory that is removed after the build. */
  readonly temp: string
  /** The directory of the installers' caches, which the next build gets again. */
  readonly cache: string
  /** The tool of a project with a lock file. */
  readonly lockTool: LockToolUse | undefined
  /** Debian packages for compiling packages without wheels. */
  readonly native: NativePackages
}

/** Variables that packages in C and their build systems read. */
export function compileEnv({ env }: BuildContext, { python, include, native }: Tools): Record<string, string> {
  const headers = [...include, native.env['CPATH'] ?? env['CPATH']].filter(Boolean)
  const libraries = [python.env['LD_LIBRARY_PATH'], native.env['LD_LIBRARY_PATH']].filter(Boolean)
  return {
    ...python.env,
    ...native.env,
    ...(headers.length > 0 && { CPATH: headers.join(':') }),
    ...(libraries.length > 0 && { LD_LIBRARY_PATH: libraries.join(':') }),
    // Debugging information would contain the random name of the directory in which a package is compiled.
    CFLAGS: [env['CFLAGS'], '-g0'].filter(Boolean).join(' '),
    SOURCE_DATE_EPOCH: env['SOURCE_DATE_EPOCH'] ?? '315532801',
  }
}

export function certificates({ env }: BuildContext): string {
  return env['SSL_CERT_FILE'] ?? '/etc/ssl/certs/ca-certificates.crt'
}

/** Variables with which pip runs in the virtual environment, from a directory of its own. */
export function pipEnv(context: BuildContext, tools: Tools): Record<string, string | undefined> {
  return {
    ...compileEnv(context, tools),
    PYTHONPATH: tools.pip.modules,
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
    PIP_CERT: context.env['PIP_CERT'] ?? certificates(context),
    ...(hasSshCommand(context) && { PIP_NO_INPUT: undefined }),
  }
}

const pipFlags = ['--no-compile', '--no-warn-script-location', '--progress-bar=off']

/** A package that pip chose: its version, and the digest of its archive or the commit, if there is one. */
export interface ResolvedPackage {
  readonly name: string
  readonly version: string
  readonly origin: string
}

/** Installs packages with pip into the virtual environment, and returns what pip chose. */
export async function pipInstall(
  context: BuildContext,
  tools: Tools,
  venv: string,
  args: readonly string[],
  where: string,
): Promise<ResolvedPackage[]> {
  const report = join(tools.temp, 'installed.json')
  const argv = [join(venv, 'bin/python'), '-m', 'pip', ...installFlags(context, tools, report), ...args] as const
  const env = { ...pipEnv(context, tools), ...(await scmVersion(context)) }
  const result = await context.run([...argv], { env, allowFailure: true })
  if (result.exitCode === 0) return readReport(report)
  throw installError(`pip install ${args.join(' ')}`, where, result.stdout + result.stderr, result.exitCode)
}

/** The packages that pip would install now into an empty environment; undefined if it cannot say, for example without a network. */
export async function pipResolve(
  context: BuildContext,
  tools: Tools,
  args: readonly string[],
): Promise<ResolvedPackage[] | undefined> {
  const report = join(tools.temp, 'resolved.json')
  // pip clones editable git requirements in a dry run, too: outside of a virtual environment into src/ of the application.
  const flags = [
    ...installFlags(context, tools, report),
    '--dry-run',
    '--ignore-installed',
    '--src',
    join(tools.temp, 'src'),
  ]
  const argv = [tools.python.program, '-m', 'pip', ...flags, ...args] as const
  const { exitCode } = await context.run([...argv], { env: pipEnv(context, tools), quiet: true, allowFailure: true })
  return exitCode === 0 ? readReport(report) : undefined
}

/** With --no-input or PIP_NO_INPUT, pip replaces this command. It cannot ask in any case: its standard input is empty. */
const hasSshCommand = ({ env }: BuildContext): boolean => env['GIT_SSH_COMMAND'] !== undefined

function installFlags(context: BuildContext, tools: Tools, report: string): string[] {
  const input = hasSshCommand(context) ? [] : ['--no-input']
  return ['install', ...pipFlags, ...input, '--cache-dir', join(tools.cache, 'pip'), '--report', report]
}

/** pip.pypa.io, "Installation Report", version "1". `download_info` is a direct URL of PEP 610. */
async function readReport(file: string): Promise<ResolvedPackage[]> {
  const { install } = JSON.parse(await readFile(file, 'utf8')) as { install: ReportItem[] }
  return install.map(({ metadata: { name, version }, download_info: info }) => {
    const hashes = Object.entries(info.archive_info?.hashes ?? {}).toSorted()
    const origin = hashes.length > 0 ? hashes.join() : (info.vcs_info?.commit_id ?? info.url)
    return { name, version, origin }
  })
}

interface ReportItem {
  readonly metadata: { readonly name: string; readonly version: string }
  readonly download_info: {
    readonly url: string
    readonly archive_info?: { readonly hashes?: Readonly<Record<string, string>> }
    readonly vcs_info?: { readonly commit_id?: string }
  }
}

/** A version for projects that read theirs from git, since the build has no git directory. */
export async function scmVersion({ app, env, log }: BuildContext): Promise<Record<string, string>> {
  if (env['SETUPTOOLS_SCM_PRETEND_VERSION'] !== undefined || (await app.hasDirectory('.git'))) return {}
  const texts = await Promise.all(['pyproject.toml', 'setup.py', 'setup.cfg'].map(name => app.read(name)))
  if (!/setuptools[-_]scm|hatch-vcs|pdm-backend[\s\S]*source = "scm"/.test(texts.join('\n'))) return {}
  log.warning(
    'the project takes its version from git, and .git is not in the build, so its version is 0.0.0',
    `Set SETUPTOOLS_SCM_PRETEND_VERSION to its version; or ${keepGit}.`,
  )
  return { SETUPTOOLS_SCM_PRETEND_VERSION: '0.0.0' }
}
