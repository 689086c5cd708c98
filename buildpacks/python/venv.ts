import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type BuildContext,
  BuildpackError,
  byDefault,
  type Component,
  digestOf,
  drop,
  firstSetting,
  keep,
  packageUrl,
  prepend,
  type RunOptions,
  type Verdict,
} from '../sdk/index.ts'
import { librariesOf } from '../debian/shared-libraries.ts'
import { browserFolders } from './browser.ts'
import type { Venv } from './installed.ts'
import type { Installation } from './installers.ts'
import { pipEnv, pipInstall, pipResolve, type ResolvedPackage, type Tools } from './pip.ts'
import { compileModules } from './runtime.ts'
import { type Server, serverVersions } from './serve.ts'
import { missingServer } from './start.ts'
import { protocolsOf } from './target.ts'

/**
 * Installs packages into a virtual environment, a layer for launch. As long as nothing that determines the packages changes, the next
 * image reuses the layer.
 * @param restored also restores its files, for programs of the build that import the packages
 */
export async function provideVenv(
  context: BuildContext,
  tools: Tools,
  installation: Installation,
  { restored, launch = true }: { readonly restored: boolean; readonly launch?: boolean },
): Promise<Venv> {
  const { python, native } = tools
  const { app, env } = context
  const layer = await context.layer('venv', {
    title: `packages of ${installation.title}`,
    types: { launch, ...(restored && { cache: true }) },
    key: {
      Python: python.version,
      installer: installation.installer,
      architecture: context.target.arch,
      [installation.title]: installation.digest,
      ...(native.digest !== '' && { 'Debian packages': native.digest }),
      'what is served': digestOf(await protocolsOf(app)),
    },
    ...(installation.open !== undefined && {
      restore: () => drop(`${installation.open} refers to packages that may have changed`),
    }),
    isCurrent: ({ notes }) => isCurrent(context, tools, installation, notes),
    create: async dir => {
      await context.run([python.program, '-m', 'venv', '--without-pip', dir], { env: python.env, quiet: true })
      const chosen = [...(await installation.install(dir))]
      const server = await missingServer(
        app,
        env,
        new Set((await installedPackages(dir)).map(({ name }) => normalised(name))),
      )
      if (server !== undefined) chosen.push(...(await installServer(context, tools, dir, server)))
      await removeRepositories(dir)
      const program = join(dir, 'bin/python')
      await check(context, program, { env: pipEnv(context, tools) })
      const packages = await installedPackages(dir)
      await compileModules(context.run, program, sitePackages(dir, python.minor), { env: python.env })
      // Before the interpreter's own directory, whatever the launcher's order of layers: only this directory's `python` finds the
      // packages.
      const launch = { PATH: prepend(join(dir, 'bin'), ':'), VIRTUAL_ENV: byDefault(dir) }
      const modules = await compiledModules(dir, python.minor)
      const browsers = await browserFolders(sitePackages(dir, python.minor))
      const linked = modules.length > 0 ? await librariesOf(context, modules, native, [python.libraries]) : []
      return {
        env: { launch },
        notes: {
          packages: packages.map(({ name, version }) => `${name}==${version}`).join(' '),
          linked: linked.join(' '),
          ...(browsers.length > 0 && { browsers: browsers.join(' ') }),
          ...(installation.chosenByIndex && { chosen: digestOf(...originsOf(chosen)) }),
          ...(server !== undefined && { server: wantedServer(server) }),
        },
      }
    },
    sbom: installedPackages,
  })
  const words = (text = '') => text.split(' ').filter(word => word !== '')
  const installed = new Set(words(layer.notes['packages']).map(text => normalised(text.replace(/==.*/, ''))))
  return { layer, installed, linked: words(layer.notes['linked']), browsers: words(layer.notes['browsers']) }
}

/**
 * Whether pip would choose the same packages from the index now. Requirements such as `flask>=3` leave the choice to the index, and so
 * do the dependencies of `flask==3.1.2`.
 */
async function isCurrent(
  context: BuildContext,
  tools: Tools,
  { chosenByIndex }: Installation,
  { chosen, packages = '', server }: Readonly<Record<string, string>>,
): Promise<Verdict> {
  if (chosenByIndex === undefined) return keep
  const now = await pipResolve(context, tools, [...chosenByIndex, ...(server === undefined ? [] : [server])])
  if (now === undefined) return drop('pip cannot check the index for newer versions')
  if (digestOf(...originsOf(now)) === chosen) return keep
  const installed = new Set(packages.split(' ').map(normalised))
  const newer = now.map(({ name, version }) => `${name}==${version}`).filter(text => !installed.has(normalised(text)))
  const others = newer.length > 3 ? ` and ${newer.length - 3} others` : ''
  return drop(newer.length === 0 ? 'the index has other archives' : `now ${newer.slice(0, 3).join(', ')}${others}`)
}

function originsOf(packages: readonly ResolvedPackage[]): string[] {
  return packages.map(({ name, version, origin }) => `${normalised(name)} ${version} ${origin}`).toSorted()
}

function normalised(name: string): string {
  return name.toLowerCase().replaceAll(/[-_.]+/g, '-')
}

/** Installs a server for an application that needs one and installs none. */
async function installServer(
  context: BuildContext,
  tools: Tools,
  venv: string,
  server: Server,
): Promise<ResolvedPackage[]> {
  const { env, log } = context
  const vendored = firstSetting(env, 'GOOGLE_VENDOR_PIP_DEPENDENCIES')
  const wanted = wantedServer(server)
  const advice = `Add ${server} to your requirements to choose its version.`
  if (vendored) {
    throw new BuildpackError(`the application is served by ${server}, which is not installed`, {
      where: vendored.name,
      fix: advice,
    })
  }
  log.warning(`the application is served by ${server}, which is not installed: ${wanted} is`, advice)
  return pipInstall(context, tools, venv, [wanted], server)
}

function wantedServer(server: Server): string {
  return `${server}==${serverVersions[server]}`
}

/** Modules that this build compiled. Modules in wheels from an index include their libraries. */
async function compiledModules(venv: string, minor: string): Promise<string[]> {
  const site = sitePackages(venv, minor)
  const modules: string[] = []
  for (const entry of await readdir(site)) {
    if (!entry.endsWith('.dist-info')) continue
    const wheel = await readFile(join(site, entry, 'WHEEL'), 'utf8').catch(() => '')
    if (!/^Tag: \S+-linux_\w+$/m.test(wheel)) continue
    const record = await readFile(join(site, entry, 'RECORD'), 'utf8').catch(() => '')
    for (const [, path = ''] of record.matchAll(/^"?([^",\r\n]+\.so)"?,/gm)) modules.push(join(site, path))
  }
  return modules.toSorted()
}

/** An editable git requirement leaves a clone in src/ whose logs contain the time; nothing needs these logs any more. */
async function removeRepositories(venv: string): Promise<void> {
  const sources = join(venv, 'src')
  for (const name of await readdir(sources).catch(() => [])) {
    for (const entry of ['.git', '.hg', '.svn', '.bzr', 'build']) {
      await rm(join(sources, name, entry), { recursive: true, force: true })
    }
  }
  await rm(join(venv, '.lock'), { force: true })
}

/** Warns of incompatible packages. Other builders accept them, and many applications work nevertheless. */
async function check({ log, run }: BuildContext, program: string, options: RunOptions): Promise<void> {
  const { exitCode, stdout } = await run([program, '-m', 'pip', 'check'], {
    ...options,
    quiet: true,
    allowFailure: true,
  })
  if (exitCode !== 0) log.warning(`pip check finds incompatible packages:\n${stdout.trim()}`)
}

/** The installed packages, from the metadata of each distribution (packaging.python.org, "Recording installed projects"). */
async function installedPackages(dir: string): Promise<Component[]> {
  const lib = join(dir, 'lib')
  const components: Component[] = []
  for (const python of await readdir(lib)) {
    const site = join(lib, python, 'site-packages')
    // Poetry creates an empty lib/python3/dist-packages beside it, the place of Debian's own packages.
    const names = (await readdir(site).catch(() => [])).filter(name => name.endsWith('.dist-info')).toSorted()
    for (const name of names) {
      // A package without valid metadata may still work.
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
