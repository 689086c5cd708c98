import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { compare } from '@renovatebot/pep440'
import { type BuildContext, BuildpackError, mirrorOf } from '../sdk/index.ts'
import {
  compileModules,
  findLibrariesInLayers,
  laterBuildEnv,
  launchEnv,
  type Pip,
  type Python,
  reproducibleEnv,
} from './runtime.ts'
import { minorOf } from './version.ts'

export const uvVersion = '0.13.9'
/** Digests of PyPI's wheels for Linux on amd64 and arm64. pip takes the matching one and refuses other bytes. */
const uvDigests = [
  'd7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19',
  '5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe',
  'ecb6028d79dc96fbeafffe5c8af62a7099487ebc05a701e76714eebcffd06375',
]

/** uv from PyPI, in a build-only layer. */
export interface Uv {
  readonly version: string
  readonly program: string
}

export async function provideUv(context: BuildContext, pip: Pip, temp: string): Promise<Uv> {
  const layer = await context.layer('uv', {
    title: `uv ${uvVersion}`,
    types: { cache: true },
    key: { uv: uvVersion, architecture: context.target.arch },
    create: async dir => {
      const file = join(temp, 'uv.txt')
      const hashes = uvDigests.map(digest => ` --hash=sha256:${digest}`).join('')
      await writeFile(file, `uv==${uvVersion}${hashes}\n`)
      const flags = ['--require-hashes', '--only-binary=:all:', '--no-compile', '--no-input', '--target', dir]
      await context.run(['python3', '-m', 'pip', 'install', ...flags, '-r', file], {
        env: { ...reproducibleEnv, PYTHONPATH: pip.modules, PIP_DISABLE_PIP_VERSION_CHECK: '1' },
        quiet: true,
        name: `pip install uv==${uvVersion}`,
        fix: 'check that the package index has this version of uv, unchanged',
      })
    },
  })
  context.seal(layer)
  return { version: uvVersion, program: join(layer.path, 'bin/uv') }
}

/** A build of CPython that uv knows, from `uv python list --output-format json`. */
interface Download {
  readonly version: string
  readonly implementation: string
  readonly variant?: string
  readonly url?: string | null
}

/** The releases of CPython that uv can download, the newest first: `3.14.1`. */
export async function listDownloads(context: BuildContext, uv: Uv): Promise<string[]> {
  const args = ['python', 'list', '--only-downloads', '--all-versions', '--output-format', 'json'] as const
  const { stdout } = await context.run([uv.program, ...args], { quiet: true, env: uvEnv(context) })
  const builds = JSON.parse(stdout) as readonly Download[]
  const versions = builds
    .filter(build => build.implementation === 'cpython' && (build.variant ?? 'default') === 'default')
    .map(build => build.version)
    .filter(version => /^\d+\.\d+\.\d+$/.test(version))
  return [...new Set(versions)].toSorted((a, b) => compare(b, a))
}

const cpythonBuilds = 'https://github.com/astral-sh/python-build-standalone/releases/download'

/** uv's own variable for a mirror overrides the one of all buildpacks. uv checks the digests of downloads from a mirror. */
async function mirrorEnv(context: BuildContext): Promise<Record<string, string>> {
  if (context.env['UV_PYTHON_INSTALL_MIRROR']) return {}
  const mirror = await mirrorOf(context, cpythonBuilds)
  if (mirror === undefined) return {}
  context.log.info(`Downloading CPython from the mirror of ${mirror.where}`)
  return { UV_PYTHON_INSTALL_MIRROR: mirror.url }
}

/** CPython that uv downloads (also from UV_PYTHON_INSTALL_MIRROR), in a layer of its own. */
export async function provideDownloadedPython(
  context: BuildContext,
  uv: Uv,
  version: string,
  launch: boolean,
): Promise<Python> {
  const minor = minorOf(version)
  // Builds in a user's own list may have the same versions as uv's.
  const list = context.env['UV_PYTHON_DOWNLOADS_JSON_URL']
  const layer = await context.layer('python', {
    title: `Python ${version}`,
    types: { launch, build: true, cache: true },
    key: {
      Python: version,
      architecture: context.target.arch,
      uv: uv.version,
      ...(list && { 'list of builds': list }),
    },
    create: async dir => {
      await context.run([uv.program, 'python', 'install', '--no-bin', '--install-dir', dir, version], {
        env: { ...uvEnv(context), ...(await mirrorEnv(context)), UV_PYTHON_DOWNLOADS: 'manual' },
        name: `uv python install ${version}`,
        fix: `set UV_PYTHON_INSTALL_MIRROR or BP_DEPENDENCY_MIRROR to a mirror that this build can reach, or ask for a version that Debian has`,
      })
      const home = await homeOf(dir)
      await mkdir(join(dir, 'bin'))
      for (const name of ['python', 'python3', `python${minor}`]) {
        await symlink(join('..', home, 'bin', `python${minor}`), join(dir, 'bin', name))
      }
      const program = join(dir, home, 'bin', `python${minor}`)
      const modules = join(dir, home, 'lib', `python${minor}`)
      await findLibrariesInLayers(modules)
      await compileModules(context.run, program, modules, { env: reproducibleEnv })
      return { env: { build: laterBuildEnv, launch: launchEnv } }
    },
    sbom: () =>
      Promise.resolve([
        {
          name: 'cpython',
          version,
          purl: `pkg:generic/cpython@${version}`,
          cpe: `cpe:2.3:a:python:python:${version}:*:*:*:*:*:*:*`,
        },
      ]),
  })
  const home = await homeOf(layer.path)
  const program = join(layer.path, home, 'bin', `python${minor}`)
  return { version, minor, program, env: reproducibleEnv, libraries: join(layer.path, home, 'lib') }
}

/** uv names the directory by version and platform: `cpython-3.12.8-linux-x86_64-gnu`. */
async function homeOf(dir: string): Promise<string> {
  const entries = await readdir(dir, { withFileTypes: true })
  const home = entries.find(entry => entry.isDirectory() && /^cpython-\d+\.\d+\.\d+/.test(entry.name))
  if (home === undefined) throw new BuildpackError(`uv python install made no interpreter in ${dir}`)
  return home.name
}

export function uvEnv({ env }: BuildContext): Record<string, string> {
  return {
    ...reproducibleEnv,
    UV_NO_PROGRESS: '1',
    UV_LINK_MODE: 'copy',
    // The build image's store also has the certificates of intercepting proxies.
    SSL_CERT_FILE: env['SSL_CERT_FILE'] ?? '/etc/ssl/certs/ca-certificates.crt',
  }
}
