import { DebianArchive, type DebianPackage } from '../debian/archive.ts'
import { developmentPaths, missingPackages, relinkLibraries } from '../debian/native-libraries.ts'
import { runtimePaths } from '../debian/runtime-paths.ts'
import { debianComponents, libraryDir, unpackPackages } from '../debian/unpack.ts'
import {
  type BuildContext,
  defineBuildpack,
  digestOf,
  type EnvChanges,
  fail,
  pass,
  prepend,
  withTempDir,
} from '../sdk/index.ts'
import { findPerlOnPath, withPerl } from './perl.ts'
import { type PackageRequest, places, readRequests } from './requests.ts'

export const apt = defineBuildpack({
  async detect({ app, env }) {
    const requests = await readRequests(app, env)
    const [first] = requests
    if (first === undefined) return fail(`none of ${places.join(', ')} names a Debian package`)
    return pass(`${first.where.replace(/:\d+$/, '')} names Debian packages: ${namesOf(requests).join(', ')}`)
  },

  async build(context) {
    context.log.heading('Debian packages')
    const requests = await readRequests(context.app, context.env)
    await withTempDir(async temp => {
      const archive = await DebianArchive.open(context, temp)
      await provideForBuild(
        context,
        archive,
        requests.filter(({ build }) => build),
      )
      await provideForLaunch(
        context,
        archive,
        requests.filter(({ launch }) => launch),
      )
    })
    return {}
  },
})

/** Packages with which later buildpacks compile and run. Packages of the build image are not installed again. */
async function provideForBuild(context: BuildContext, archive: DebianArchive, requests: readonly PackageRequest[]) {
  const { run, target } = context
  const packages = await missingPackages(run, await choose(archive, requests))
  if (packages.length === 0) return
  await context.layer('build-packages', {
    title: `${titleOf(requests)} for the build`,
    types: { build: true, cache: true },
    key: keyOf(packages),
    create: async dir => {
      await unpackPackages(run, await archive.download(packages), dir)
      await relinkLibraries(libraryDir(dir, target.arch), libraryDir('/', target.arch))
      const paths = { ...developmentPaths(dir, target.arch), ...(await runtimePaths(dir, target.arch)) }
      return { env: { build: prepended(paths) } }
    },
  })
}

/** Packages with which the application runs. Packages of the run image are not installed again, so that a rebase updates them. */
async function provideForLaunch(context: BuildContext, archive: DebianArchive, requests: readonly PackageRequest[]) {
  const { log, run, target } = context
  if (requests.length === 0) return
  const packages = withPerl(await choose(archive, requests))
  if (packages.length === 0) return log.info(`The run image has ${namesOf(requests).join(', ')}`)
  await context.layer('packages', {
    title: titleOf(requests),
    types: { launch: true },
    key: keyOf(packages),
    create: async dir => {
      await unpackPackages(run, await archive.download(packages), dir)
      if (packages.some(({ name }) => name === 'perl-base')) await findPerlOnPath(dir)
      return { env: { launch: prepended(await runtimePaths(dir, target.arch)) } }
    },
    sbom: () => {
      const { name = 'debian', version = '13' } = target.distro ?? {}
      return Promise.resolve(debianComponents(packages, `${name}-${version}`))
    },
  })
}

/** The packages to unpack: the named ones, and their dependencies unless the user excludes them. */
async function choose(archive: DebianArchive, requests: readonly PackageRequest[]): Promise<DebianPackage[]> {
  const whereOf = (name: string) => requests.find(r => r.name === name || r.name.split(/[:=]/)[0] === name)?.where
  const complete = namesOf(requests.filter(({ alone }) => !alone))
  const packages = complete.length > 0 ? await archive.resolve(complete, whereOf) : []
  for (const { name } of requests.filter(({ alone }) => alone)) {
    const bare = name.split(/[:=]/)[0]
    const [own] = (await archive.resolve([name], whereOf)).filter(p => p.name === bare)
    if (own !== undefined && !packages.some(p => p.name === own.name)) packages.push(own)
  }
  return packages
}

const namesOf = (requests: readonly PackageRequest[]): string[] => [...new Set(requests.map(({ name }) => name))]

const titleOf = (requests: readonly PackageRequest[]): string => `the Debian packages ${namesOf(requests).join(', ')}`

const keyOf = (packages: readonly DebianPackage[]) => ({ 'Debian packages': digestOf(JSON.stringify(packages)) })

function prepended(paths: Readonly<Record<string, readonly string[]>>): EnvChanges {
  const changes = Object.entries(paths).filter(([, dirs]) => dirs.length > 0)
  return Object.fromEntries(changes.map(([name, dirs]) => [name, prepend(dirs.join(':'), ':')]))
}
