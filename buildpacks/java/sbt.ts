import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type App, type BuildContext, BuildpackError, firstSetting, isSet, keep, splitWords } from '../sdk/index.ts'
import type { Jdk } from './jdk.ts'
import { copyArtifact, type Maven } from './maven-artifacts.ts'
import { proxyOptions } from './proxies.ts'

type Env = Readonly<Record<string, string>>

/** For a project that names no version. */
const defaultVersion = '1.11.7'

export interface SbtTools {
  readonly jdk: Jdk
  readonly temp: string
  readonly openMaven: () => Promise<Maven>
}

/**
 * Builds with sbt in the version that the project requests. Its launcher and everything else come from Maven Central. Downloads stay in
 * a cache.
 * @returns the class path, if nothing in the project packs the application
 */
export async function buildWithSbt(context: BuildContext, tools: SbtTools): Promise<readonly string[] | undefined> {
  const { app, env, layer, log, run } = context
  const version = await sbtVersion(app)
  const launcher = await layer('sbt-launcher', {
    title: `sbt ${version}`,
    types: { build: true, cache: true },
    key: { sbt: version },
    create: async dir => copyArtifact(await tools.openMaven(), `org.scala-sbt:sbt-launch:${version}`, dir, tools.temp),
  })
  const cache = await layer('sbt', {
    types: { cache: true },
    key: { home: 'sbt' },
    restore: () => keep,
    create: async () => {},
  })
  const { tasks, packs } = await tasksOf(app, env)
  const home = (name: string) => join(cache.path, name)
  const places = {
    'sbt.boot.directory': home('boot'),
    'sbt.global.base': home('global'),
    'sbt.ivy.home': home('ivy'),
    'sbt.coursier.home': home('coursier'),
    'user.home': cache.path,
    'sbt.color': 'false',
    'sbt.supershell': 'false',
    'sbt.server.autostart': 'false',
  }
  const options = [
    ...(await jvmOptions(app)),
    ...splitWords(env['SBT_OPTS'] ?? '', 'SBT_OPTS'),
    ...proxyOptions(env),
    ...Object.entries(places).map(([name, value]) => `-D${name}=${value}`),
  ]
  const shown = `sbt ${tasks.map(task => (task.includes(' ') ? `"${task}"` : task)).join(' ')}`
  const jar = join(launcher.path, `sbt-launch-${version}.jar`)
  const { stdout } = await log.step(`Running ${shown}`, () =>
    run([join(tools.jdk.home, 'bin/java'), ...options, '-jar', jar, ...tasks], {
      name: shown,
      step: 'build',
      env: { ...tools.jdk.env, HOME: cache.path, COURSIER_CACHE: home('coursier-cache') },
      fix: (stderr, stdout) => explain(stdout + stderr),
    }),
  )
  return packs ? undefined : classPathIn(stdout)
}

async function sbtVersion(app: App): Promise<string> {
  const where = 'project/build.properties'
  const version = /^\s*sbt\.version\s*[=:]\s*(\S+)/m.exec((await app.read(where)) ?? '')?.[1] ?? defaultVersion
  if (/^(1\.[3-9]|1\.[1-9]\d|[2-9])\b/.test(version)) return version
  throw new BuildpackError(`asks for sbt ${version}, whose parts are not on Maven Central`, {
    where,
    fix: `write sbt.version=${defaultVersion}: 1.3 and newer are`,
  })
}

/** Plugins that pack an application, and their tasks. Play includes the first one. */
const packers: readonly (readonly [RegExp, string])[] = [
  [/sbt-native-packager|"sbt-plugin"|sbt-web-scalajs/, 'stage'],
  [/sbt-assembly/, 'assembly'],
  [/sbt-pack"/, 'pack'],
]

async function tasksOf(app: App, env: Env): Promise<{ tasks: string[]; packs: boolean }> {
  const words = (name: string): string[] => splitWords(env[name] ?? '', name)
  const clean = isSet(env, 'SBT_CLEAN') ? ['clean'] : []
  const own = firstSetting(env, 'BP_SBT_BUILD_ARGUMENTS', 'SBT_TASKS')
  if (own !== undefined) return { tasks: [...clean, ...words('SBT_PRE_TASKS'), ...words(own.name)], packs: true }
  const project = firstSetting(env, 'SBT_PROJECT', 'BP_SBT_BUILT_MODULE', 'GOOGLE_BUILDABLE')?.value
  const of = (task: string) => (project === undefined ? task : `${project}/${task}`)
  const names = (await readdir(app.at('project')).catch(() => [])).filter(name => /\.(sbt|scala)$/.test(name))
  const plugins = await Promise.all(names.toSorted().map(name => app.read(join('project', name))))
  const task = packers.find(([pattern]) => plugins.some(text => pattern.test(text ?? '')))?.[1]
  const before = [...clean, ...words('SBT_PRE_TASKS')]
  if (task !== undefined) return { tasks: [...before, of(task)], packs: true }
  return { tasks: [...before, `export ${of('Runtime/fullClasspathAsJars')}`], packs: false }
}

/** Options for the JVM from the files that sbt's own script reads, with one or several per line. */
async function jvmOptions(app: App): Promise<string[]> {
  const lines = ((await app.read('.jvmopts')) ?? '').split('\n').filter(line => !line.trim().startsWith('#'))
  return lines.flatMap(line => line.split(/\s+/)).filter(Boolean)
}

/** The archives in the last line of the output of `export`. */
function classPathIn(output: string): string[] {
  const lines = output.split('\n').filter(line => !line.startsWith('[') && line.includes('.jar'))
  return (lines.at(-1) ?? '')
    .trim()
    .split(':')
    .filter(path => basename(path).endsWith('.jar'))
}

function explain(output: string): string | undefined {
  const fixes: readonly (readonly [RegExp, string])[] = [
    [
      /Error downloading|not found: https?:|UnknownHost|Connection refused/,
      'check the network and the resolvers; plugins that are not on Maven Central need a newer version that is',
    ],
    [
      /Not a valid (command|key)/,
      'set SBT_TASKS to the tasks that make the application, or SBT_PROJECT to its project',
    ],
    [
      /bad constant pool|Unsupported class file major version/,
      'raise sbt.version in project/build.properties, or set BP_JVM_VERSION',
    ],
  ]
  return fixes.find(([pattern]) => pattern.test(output))?.[1]
}
