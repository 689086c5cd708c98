import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type App,
  type BuildContext,
  BuildpackError,
  firstSetting,
  fromToolFiles,
  type VersionRequest,
} from '../sdk/index.ts'
import { newestFirst } from '../sdk/version-order.ts'
import { copyArtifact, type MavenProgram } from './maven-artifacts.ts'

/** The Maven that its project publishes in repositories, like any other artifact. */
const group = 'org.apache.maven'
const artifact = 'apache-maven'

/** By default Maven only warns of an archive whose checksum differs from the repository's. */
const checked = ['--strict-checksums', '-Daether.checksums.algorithms=SHA-512,SHA-1']

/** The requested version of Maven, and the place of the request: a setting, Heroku's system.properties, or a file of a version manager. */
export async function requestedMaven(app: App, env: BuildContext['env']): Promise<VersionRequest | undefined> {
  const setting = firstSetting(env, 'BP_MAVEN_VERSION', 'RAILPACK_MAVEN_VERSION')
  if (setting) return { value: setting.value, where: setting.name }
  const read = async (file: string, pattern: RegExp) => {
    const value = pattern.exec((await app.read(file)) ?? '')?.[1]
    return value === undefined ? undefined : { value, where: file }
  }
  return (
    (await read('system.properties', /^\s*maven\.version\s*[=:]\s*(\S+)/m)) ??
    (await read('.sdkmanrc', /^\s*maven\s*=\s*(\S+)/m)) ??
    (await fromToolFiles(app, 'maven'))
  )
}

/**
 * Checks the version before anything is installed.
 * @throws BuildpackError for an invalid version
 */
export async function checkMavenVersion(app: App, env: BuildContext['env']): Promise<void> {
  const { value, where } = (await requestedMaven(app, env)) ?? { value: 'latest', where: '' }
  if (value === 'latest' || isWhole(value) || prefixOf(value) !== undefined) return
  throw new BuildpackError(`${JSON.stringify(value.slice(0, 100))} is not a version of Maven`, {
    where,
    fix: 'write for example 3.9, or a release such as 3.9.16',
  })
}

const isWhole = (text: string): boolean => /^\d+\.\d+\.\d+(?:-[\w.-]+)?$/.test(text)

/** `3.9` of `v3.9`, `3.9.*` and `3.9.x`. */
const prefixOf = (text: string): string | undefined => /^v?(\d+(?:\.\d+)?)(?:\.[*x])*$/.exec(text)?.[1]

const meets = (version: string, value: string): boolean =>
  value === 'latest' || version === value || (!isWhole(value) && `${version}.`.startsWith(`${prefixOf(value)}.`))

/**
 * The requested Maven, from the repositories in Maven's settings; the given one if it satisfies the request.
 * @throws BuildpackError with the nearest version, if the repositories do not have it
 */
export async function provideAskedMaven(
  context: BuildContext,
  {
    debian,
    request,
    temp,
  }: { readonly debian: MavenProgram; readonly request: VersionRequest | undefined; readonly temp: string },
): Promise<MavenProgram> {
  if (request === undefined || (debian.version !== undefined && meets(debian.version, request.value))) return debian
  const { value, where } = request
  const version = isWhole(value) ? value : await newest(debian, request, temp)
  context.log.info(`Maven ${version}: ${where} asks for ${value}, and Debian has ${debian.version}`)
  const { path } = await context.layer('maven-asked', {
    title: `Maven ${version}`,
    types: { build: true, cache: true },
    key: { Maven: version },
    create: async dir => {
      const downloads = join(temp, 'maven-download')
      const coordinates = `${group}:${artifact}:${version}:tar.gz:bin`
      await copyArtifact(debian, coordinates, downloads, temp, checked).catch(async (error: unknown) => {
        const versions = await listMavens(debian, temp)
        throw versions.length === 0 || versions.includes(version) ? error : notToBeHad(request, versions)
      })
      const [archive = ''] = await readdir(downloads)
      const flags = ['--strip-components=1', '--no-same-permissions', '--no-same-owner']
      await context.run(['tar', '-xzf', join(downloads, archive), ...flags, '-C', dir], {
        quiet: true,
        name: 'unpacking Maven',
      })
      await rm(downloads, { recursive: true })
    },
  })
  return debian.as(join(path, 'bin/mvn'), version)
}

async function newest(maven: MavenProgram, request: VersionRequest, temp: string): Promise<string> {
  const versions = await listMavens(maven, temp)
  const found = versions.find(version => meets(version, request.value))
  if (found !== undefined) return found
  throw notToBeHad(request, versions)
}

function notToBeHad({ value, where }: VersionRequest, versions: readonly string[]): BuildpackError {
  const near = nearest(versions, value)
  return new BuildpackError(`there is no Maven ${value}`, {
    where,
    fix:
      near === undefined
        ? "the repositories of Maven's settings list none: check them, and the network"
        : `the nearest is ${near}; the repositories have ${versions.at(-1)} to ${versions[0]}`,
  })
}

/** Compares the major version, then the minor one, then the patch. */
function nearest(versions: readonly string[], text: string): string | undefined {
  const distance = (version: string) => {
    const [wanted, there] = [numbersOf(text), numbersOf(version)]
    return [0, 1, 2].reduce((sum, i) => sum * 1000 + Math.abs((there[i] ?? 0) - (wanted[i] ?? there[i] ?? 0)), 0)
  }
  return versions.toSorted((a, b) => distance(a) - distance(b))[0]
}

/** The releases in the repositories, the newest first. Maven requests the lists of releases to choose one of a range, and stores them. */
async function listMavens(maven: MavenProgram, temp: string): Promise<string[]> {
  const pom = join(temp, 'versions.xml')
  const elements = { groupId: group, artifactId: artifact, version: '[3,)', type: 'pom' }
  const dependency = Object.entries(elements).map(([name, text]) => `<${name}>${text}</${name}>`)
  const alone = '<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>'
  await writeFile(
    pom,
    `<project><modelVersion>4.0.0</modelVersion><groupId>bale</groupId><artifactId>versions</artifactId><version>1</version><packaging>pom</packaging><dependencies><dependency>${dependency.join('')}${alone}</dependency></dependencies></project>\n`,
  )
  // The newest release may have dependencies that this build does not need or that are missing.
  await maven.run(['-U', '-f', pom, 'dependency:resolve'], { cwd: temp, quiet: true }).catch(() => undefined)
  const dir = join(maven.repository, ...group.split('.'), artifact)
  const files = (await readdir(dir).catch(() => [])).filter(name => /^maven-metadata.*\.xml$/.test(name))
  const texts = await Promise.all(files.map(file => readFile(join(dir, file), 'utf8')))
  const versions = texts.flatMap(text =>
    Array.from(text.matchAll(/<version>\s*([^<\s]+)\s*<\/version>/g), ([, v = '']) => v),
  )
  return [...new Set(versions)].filter(version => /^[3-9](?:\.\d+)+$/.test(version)).toSorted(newestFirst)
}

const numbersOf = (version: string): number[] => (/\d+(?:\.\d+)*/.exec(version)?.[0] ?? '').split('.').map(Number)
