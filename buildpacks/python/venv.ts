import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type BuildContext,
  byDefault,
  type Component,
  digestOf,
  drop,
  keep,
  type Layer,
  packageUrl,
  prepend,
  type RunOptions,
} from '../sdk/index.ts'
import type { Requirements } from './requirements.ts'
import { compileModules, type Pip, type Python } from './runtime.ts'

/** The names of what is installed, as PyPI normalises them: `flask-login`. */
export type Installed = ReadonlySet<string>

/** Variables that would send packages elsewhere, or make Python look for its library there. */
export const rejectedSettings = ['PYTHONHOME', 'PIP_TARGET', 'PIP_PREFIX', 'PIP_ROOT', 'PIP_USER', 'PIP_PYTHON']

/**
 * Installs what the requirements say into a virtual environment: a layer for launch alone, which the next image has again
 * without its bytes as long as the requirements are the same.
 */
export async function provideVenv(
  context: BuildContext,
  python: Python,
  pip: Pip,
  requirements: Requirements,
): Promise<{ layer: Layer; installed: Installed }> {
  const cache = await context.layer('pip-cache', {
    types: { cache: true },
    key: {},
    restore: () => keep,
    create: async () => {},
  })
  const title = `packages of ${requirements.files.join(', ')}`
  const layer = await context.layer('venv', {
    title,
    types: { launch: true },
    key: {
      Python: python.version,
      pip: pip.version,
      architecture: context.target.arch,
      [requirements.files.join(', ')]: requirements.digest,
      'settings for pip': settingsDigest(context.env),
    },
    ...(requirements.local && { restore: () => drop('the requirements name files of the application') }),
    create: async dir => {
      await context.run([python.program, '-m', 'venv', '--without-pip', dir], { env: python.env, quiet: true })
      const program = join(dir, 'bin/python')
      const options = pipOptions(context, python, pip)
      const files = requirements.files.flatMap(file => ['-r', file])
      await context.run([program, '-m', 'pip', 'install', ...installFlags, '--cache-dir', cache.path, ...files], {
        ...options,
        name: `pip install ${files.join(' ')}`,
        fix: 'correct the requirements, or what they need to be compiled',
      })
      await check(context, program, options)
      const packages = await installedPackages(dir)
      await compileModules(context.run, program, sitePackages(dir, python.minor), { env: python.env })
      // Before the interpreter's own directory, whatever order the launcher has layers in: only `python` of this one knows
      // the packages.
      const launch = { PATH: prepend(join(dir, 'bin'), ':'), VIRTUAL_ENV: byDefault(dir) }
      return { env: { launch }, notes: { packages: packages.map(({ name }) => name).join(' ') } }
    },
    sbom: installedPackages,
  })
  const names = (layer.notes['packages'] ?? '').split(' ').map(name => name.toLowerCase().replaceAll(/[-_.]+/g, '-'))
  return { layer, installed: new Set(names) }
}

const installFlags = ['--no-compile', '--no-input', '--no-warn-script-location', '--progress-bar=off']

function pipOptions({ env }: BuildContext, python: Python, pip: Pip): RunOptions {
  const certificates = '/etc/ssl/certs/ca-certificates.crt'
  const options = {
    ...python.env,
    PYTHONPATH: pip.modules,
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
    PIP_CERT: env['PIP_CERT'] ?? env['SSL_CERT_FILE'] ?? certificates,
    CPATH: [pip.include, env['CPATH']].filter(Boolean).join(':'),
    // Debugging information would name the directory, of random name, in which pip compiles.
    CFLAGS: [env['CFLAGS'], '-g0'].filter(Boolean).join(' '),
    SOURCE_DATE_EPOCH: env['SOURCE_DATE_EPOCH'] ?? '315532801',
  }
  return { env: options }
}

/** Settings may change what pip installs, except those that are about the way there. */
function settingsDigest(env: Readonly<Record<string, string>>): string {
  const settings = Object.entries(env).filter(
    ([name]) => name.startsWith('PIP_') && !/INDEX_URL|CERT|PROXY|TRUSTED_HOST|CACHE|RETRIES|TIMEOUT/.test(name),
  )
  return digestOf(JSON.stringify(settings.toSorted(([a], [b]) => (a < b ? -1 : 1))))
}

/** Tells of packages that do not go together. Other builders accept them, and many applications work nevertheless. */
async function check({ log, run }: BuildContext, program: string, options: RunOptions): Promise<void> {
  const { exitCode, stdout } = await run([program, '-m', 'pip', 'check'], {
    ...options,
    quiet: true,
    allowFailure: true,
  })
  if (exitCode !== 0) log.warning(`pip check finds packages that do not go together:\n${stdout.trim()}`)
}

/** What is installed, from the metadata of each distribution (packaging.python.org, "Recording installed projects"). */
async function installedPackages(dir: string): Promise<Component[]> {
  const lib = join(dir, 'lib')
  const components: Component[] = []
  for (const python of await readdir(lib)) {
    const site = join(lib, python, 'site-packages')
    const names = (await readdir(site)).filter(name => name.endsWith('.dist-info')).toSorted()
    for (const name of names) {
      // A package that is broken in this way may still work.
      components.push(...parseMetadata(await readFile(join(site, name, 'METADATA'), 'utf8').catch(() => '')))
    }
  }
  return components
}

/** Core metadata: headers as in mail, up to an empty line. */
function parseMetadata(text: string): Component[] {
  const header = text.split(/\r?\n\r?\n/, 1)[0] ?? ''
  const field = (name: string) => new RegExp(`^${name}: (.+)$`, 'im').exec(header)?.[1]?.trim()
  const [name, version] = [field('Name'), field('Version')]
  if (name === undefined || version === undefined) return []
  const license = field('License-Expression') ?? field('License')
  return [{ name, version, purl: packageUrl('pypi', name, version), ...(license !== undefined && { license }) }]
}

function sitePackages(dir: string, minor: string): string {
  return join(dir, `lib/python${minor}/site-packages`)
}
