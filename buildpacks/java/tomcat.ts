import { mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { App, type BuildContext, BuildpackError, digestOf, firstSetting, override, packageUrl } from '../sdk/index.ts'
import { inspectLibraries } from './libraries.ts'
import { copyArtifact, type Maven } from './maven-artifacts.ts'
import { servletApi } from './servlet-api.ts'
import { externalConfiguration, unpackExternal } from './tomcat-external.ts'
import { configuration, hostDir, propertySource } from './tomcat-files.ts'

type Env = Readonly<Record<string, string>>

/** The release that is used of each line. */
const releases: Readonly<Record<string, string>> = { '9': '9.0.117', '10': '10.1.59', '11': '11.0.24' }

/** A servlet container in a layer of the image. */
export interface Tomcat {
  readonly version: string
  readonly command: readonly [string, ...string[]]
  /** The number of classes in its libraries. */
  readonly classes: number
  /** Options of the JVM that it needs. */
  readonly options: readonly string[]
}

/**
 * Checks the settings of the servlet container before anything is installed.
 * @throws BuildpackError for another container, or an invalid version
 */
export function checkTomcatSettings(env: Env): void {
  const server = firstSetting(env, 'BP_JAVA_APP_SERVER')
  if (server !== undefined && server.value.toLowerCase() !== 'tomcat') {
    throw new BuildpackError(`${JSON.stringify(server.value)} is not a servlet container that Bale has`, {
      where: server.name,
      fix: 'write tomcat, or have the build make an executable archive',
    })
  }
  const version = firstSetting(env, 'BP_TOMCAT_VERSION')
  if (version !== undefined) releaseOf(version.value, version.name)
  contextPathOf(env)
  externalConfiguration(env)
}

/** `/shop/open`, or empty for an application that serves all paths. */
function contextPathOf(env: Env): string {
  const setting = firstSetting(env, 'BP_TOMCAT_CONTEXT_PATH')
  const path = (setting?.value ?? '').replaceAll(/^\/+|\/+$/g, '')
  if (path === '') return ''
  if (/^[\w~-][\w.~-]*(\/[\w~-][\w.~-]*)*$/.test(path)) return `/${path}`
  throw new BuildpackError(`${JSON.stringify(setting?.value)} is not a path`, {
    where: setting?.name ?? '',
    fix: 'write for example "/shop"',
  })
}

/** `9`, `10.*` and `11.0.*` mean the release of that line in `releases`; `10.1.40` means exactly that one. */
function releaseOf(text: string, where: string): string {
  if (/^\d+\.\d+\.\d+$/.test(text)) return text
  const line = /^v?(\d+)(\.\d+)?(\.[*x])*$/.exec(text.trim())?.[1] ?? ''
  const release = releases[line]
  if (release !== undefined) return release
  throw new BuildpackError(`${JSON.stringify(text)} is not a version of Tomcat that Bale can get`, {
    where,
    fix: `write one of ${Object.keys(releases).join(', ')}, or a release that Maven Central has, such as ${releases['10']}`,
  })
}

/** An unpacked web application. */
export interface WebApplication {
  /** Its path in the image. */
  readonly path: string
  /** Its current path. */
  readonly staged: string
  /** Paths in it that are not served. */
  readonly hidden?: readonly string[]
}

export interface TomcatTools {
  readonly temp: string
  readonly openMaven: () => Promise<Maven>
}

/** Puts Tomcat into a layer of the image, with one web application. */
export async function provideTomcat(
  context: BuildContext,
  application: WebApplication,
  { openMaven, temp }: TomcatTools,
): Promise<Tomcat> {
  const { env, layer, log, run } = context
  const setting = firstSetting(env, 'BP_TOMCAT_VERSION')
  const { api, why, doubt } = await servletApi(new App(application.staged))
  if (doubt !== undefined && setting === undefined)
    log.warning(doubt, 'Set BP_TOMCAT_VERSION to 9 for javax.servlet, or to 10 for jakarta.servlet.')
  const version =
    setting === undefined ? releaseOf(api === 'javax' ? '9' : '10', why) : releaseOf(setting.value, setting.name)
  log.info(`Tomcat ${version}: ${setting === undefined ? why : `${setting.name} is ${setting.value}`}`)
  const contextPath = contextPathOf(env)
  // Tomcat's names of directories: ROOT, and # for each further slash ("Context", "Naming").
  const webapp = contextPath.slice(1).replaceAll('/', '#') || 'ROOT'
  const files = configuration(contextPath, application.hidden ?? [])
  const external = externalConfiguration(env)
  const { path, notes } = await layer('tomcat', {
    title: `Tomcat ${version}`,
    types: { launch: true },
    key: {
      Tomcat: version,
      'context path': webapp,
      application: application.path,
      configuration: digestOf(JSON.stringify(files)),
      ...(external && { 'external configuration': external.sha256, strip: String(external.strip) }),
    },
    create: async dir => {
      const downloads = join(temp, 'tomcat')
      await copyArtifact(await openMaven(), `org.apache.tomcat:tomcat:${version}:tar.gz`, downloads, temp)
      const [archive = ''] = await readdir(downloads)
      await run(['tar', '-xzf', join(downloads, archive), '--strip-components=1', '--no-same-permissions', '-C', dir], {
        quiet: true,
        name: 'unpacking Tomcat',
      })
      for (const name of ['webapps', 'work', 'temp', 'logs', 'BUILDING.txt', 'CONTRIBUTING.md', 'RUNNING.txt'])
        await rm(join(dir, name), { recursive: true, force: true })
      for (const name of (await readdir(join(dir, 'bin'))).filter(name => name.endsWith('.bat')))
        await rm(join(dir, 'bin', name))
      await mkdir(join(dir, 'conf', hostDir), { recursive: true })
      for (const [name, content] of Object.entries(files)) await writeFile(join(dir, 'conf', name), content)
      if (external !== undefined) await unpackExternal(context, external, dir, temp)
      const { classes } = await inspectLibraries(dir)
      await mkdir(join(dir, 'webapps'), { recursive: true })
      await symlink(application.path, join(dir, 'webapps', webapp))
      // The layer is read-only at run time.
      const launch = { CATALINA_HOME: override(dir), CATALINA_BASE: override(dir), CATALINA_TMPDIR: override('/tmp') }
      return { env: { launch }, notes: { classes: String(classes) } }
    },
    sbom: () =>
      Promise.resolve([{ name: 'tomcat', version, purl: packageUrl('maven', 'org.apache.tomcat/tomcat', version) }]),
  })
  const command = ['sh', join(path, 'bin/catalina.sh'), 'run'] as const
  return { version, command, classes: Number(notes['classes']), options: [propertySource] }
}
