import { readFileSync } from 'node:fs'
import { BuildpackError, digestOf, keepGit, sshFix } from '../sdk/index.ts'

type Env = Readonly<Record<string, string>>

/** Variables that would install packages elsewhere, or make Python look for its library elsewhere. */
export const rejectedSettings = [
  ...['PYTHONHOME', 'PIP_TARGET', 'PIP_PREFIX', 'PIP_ROOT', 'PIP_USER', 'PIP_PYTHON'],
  ...['UV_PROJECT_ENVIRONMENT', 'UV_PYTHON', 'UV_SYSTEM_PYTHON', 'UV_TARGET', 'UV_PREFIX'],
]

/** How settings of the installers affect packages that are kept. */
export interface InstallerSettings {
  readonly digest: string
  /** Files that PIP_CONSTRAINT and PIP_REQUIREMENT name. */
  readonly files: readonly { readonly file: string; readonly where: string }[]
  /** A setting, or a configuration file, that may name something that no digest covers. */
  readonly open: string | undefined
}

/** These settings change how packages are downloaded, not which. */
const way = /_(?:CERT|CLIENT_CERT|PROXY|TRUSTED_HOST|RETRIES|TIMEOUT|MIRROR|NATIVE_TLS)$/
/** The origin of packages: another index may have other packages with the same name and version. */
const index = /_(?:INDEX_URL|DEFAULT_INDEX|INDEX)$/
const credentials =
  /^(?:UV_INDEX_\w+_(?:USERNAME|PASSWORD)|POETRY_HTTP_BASIC_\w+|POETRY_PYPI_TOKEN_\w+|PDM_REPOSITORY_\w+)$/
/** The value of these settings is complete: none names a file. */
const plain =
  /^PIP_(?:NO_BINARY|ONLY_BINARY|PREFER_BINARY|PRE|NO_DEPS|REQUIRE_HASHES|NO_INDEX|USE_PEP517|NO_BUILD_ISOLATION|DISABLE_PIP_VERSION_CHECK|NO_INPUT|PROGRESS_BAR|QUIET|VERBOSE|NO_COLOR|NO_CACHE_DIR|NO_PYTHON_VERSION_WARNING|ROOT_USER_ACTION|DEFAULT_TIMEOUT)$|^UV_(?:NO_BINARY|NO_BUILD|PRERELEASE|RESOLUTION|LOCKED|FROZEN|COMPILE_BYTECODE|HTTP_TIMEOUT|CONCURRENT_\w+|LINK_MODE|NO_PROGRESS)$|^(?:CFLAGS|CPPFLAGS|CXXFLAGS|LDFLAGS|CC|CXX|PKG_CONFIG_PATH)$/
const relevant =
  /^(?:PIP|UV|POETRY|PDM|PIPENV|SETUPTOOLS|SETUPTOOLS_SCM)_|^(?:CFLAGS|CPPFLAGS|CXXFLAGS|LDFLAGS|CC|CXX|PKG_CONFIG_PATH)$/
const isPlain = (name: string) => plain.test(name) || index.test(name) || name.startsWith('SETUPTOOLS_SCM_PRETEND')
const fileSettings = ['PIP_CONSTRAINT', 'PIP_BUILD_CONSTRAINT', 'PIP_REQUIREMENT']

/** Files that installers always read; `~` is the home of the building user. */
const userFiles = [
  ...['/etc/pip.conf', '/etc/xdg/pip/pip.conf', '~/.pip/pip.conf', '~/.config/pip/pip.conf'],
  ...['/etc/uv/uv.toml', '/etc/xdg/uv/uv.toml', '~/.config/uv/uv.toml'],
  ...['~/.config/pypoetry/config.toml', '~/.config/pdm/config.toml'],
]

/** Lines that only name the index and the way to it, in pip's notation and in TOML. */
const indexLine =
  /^(?:\[.*\]|\s+https?:\/\/\S+|(?:global\.)?(?:(?:extra-)?index-url|index|url|name|default|trusted-host|(?:default-)?timeout|retries|(?:client-)?cert|proxy|native-tls|no-input|disable-pip-version-check|no-color|progress-bar)\s*=.*)$/

/** The settings of the user and the machine: their text, for a digest, and a file that may name constraints, links or wheels. */
function readUserFiles(env: Env): { readonly texts: string[]; readonly open: string | undefined } {
  const home = env['HOME'] ?? ''
  const config = env['XDG_CONFIG_HOME'] || `${home}/.config`
  const texts: string[] = []
  let open: string | undefined
  for (const file of userFiles) {
    const path = file.replace('~/.config', config).replace('~', home)
    const text = readIfThere(path)
    if (text === undefined) continue
    const lines = text.split(/\r?\n/).filter(line => !/^\s*(?:[#;].*)?$/.test(line))
    texts.push(path, ...lines.map(withoutUser))
    if (!lines.every(line => indexLine.test(line))) open ??= path
  }
  return { texts, open }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** A URL without user and password: tokens change while the index stays the same. */
const withoutUser = (url: string): string => url.replaceAll(/(:\/\/)[^/@\s]+@/g, '$1')

/** Sorts the settings of the installers. An unknown one counts as open, since it may name a file or a branch. */
export function readSettings(env: Env): InstallerSettings {
  const names = Object.keys(env).filter(name => relevant.test(name) && env[name] !== '' && !credentials.test(name))
  const settings = names.filter(name => !way.test(name)).toSorted()
  const isFile = (name: string) => fileSettings.includes(name)
  const user = readUserFiles(env)
  return {
    digest: digestOf(
      ...user.texts,
      ...settings.flatMap(name => [name, index.test(name) ? withoutUser(env[name] ?? '') : (env[name] ?? '')]),
    ),
    files: settings.filter(isFile).flatMap(name =>
      (env[name] ?? '')
        .trim()
        .split(/\s+/)
        .map(file => ({ file, where: name })),
    ),
    open: settings.find(name => !isFile(name) && !isPlain(name)) ?? user.open,
  }
}

/**
 * The error for a failed installer, with advice only if its output calls for it.
 * @param where the file that lists the packages
 */
export function installError(name: string, where: string, output: string, exitCode: number): BuildpackError {
  return new BuildpackError(`${name} failed with exit status ${exitCode}`, { where, fix: adviceFor(output) })
}

function adviceFor(output: string): string | undefined {
  const ssh = sshFix(output)
  if (ssh !== undefined) return ssh
  const wanted = /satisfies the requirement (\S+?)(?:==(\S+))? \(from/.exec(output)
  const ignored = /Ignored the following versions that require a different python version: (.*)/.exec(output)?.[1] ?? ''
  const needs = ignored
    .split(/;\s*/)
    .map(part => /^(\S+) Requires-Python (.+)$/.exec(part.trim()))
    .find(part => part !== null && part[1] === wanted?.[2])
  if (needs) {
    return `${wanted?.[1]} ${needs[1]} can be installed on Python ${needs[2]}: request such a Python version in .python-version, or another ${wanted?.[1]}`
  }
  if (/setuptools.scm was unable to detect version|LookupError.*setuptools.scm|vcs-versioning.*unable/i.test(output)) {
    return `the source has no .git in the build: set SETUPTOOLS_SCM_PRETEND_VERSION to the version; or ${keepGit}`
  }
  if (/No space left on device|ENOSPC/.test(output)) return 'free some space on the disk that holds the builds'
  if (/hashes are required|DO NOT MATCH THE HASHES/i.test(output))
    return 'update the hashes with the tool that wrote them'
  if (/Temporary failure in name resolution|NewConnectionError|Read timed out|dns error|ConnectTimeout/i.test(output)) {
    return 'check the network, and the address of the package index'
  }
  if (/could not read Username for|Authentication failed for|terminal prompts disabled/.test(output))
    return 'a package is in a private repository: build with your SSH keys (git+ssh://…, --ssh default), or give the credentials for its host in a binding of type netrc (--secret id=git,type=netrc,key=.netrc,src=$HOME/.netrc)'
  if (/error: subprocess-exited-with-error|Failed to build|error: metadata-generation-failed/.test(output)) {
    return 'a package has to be compiled: pin a version that has a wheel for this Python, ask for an older Python in .python-version, or name the Debian packages that its build lacks (lib…-dev) in an Aptfile'
  }
  if (wanted || /ResolutionImpossible|No solution found/.test(output)) return 'correct the requested version'
  if (/lockfile.*needs to be updated|lock file.*(?:not up to date|changed significantly|out of date)/is.test(output)) {
    return 'update the lock file and commit it'
  }
  return undefined
}
