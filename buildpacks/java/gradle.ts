import { rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { boundFile, type BuildContext, firstSetting, keep, splitWords } from '../sdk/index.ts'
import { type GradleChoice, provideGradle } from './gradle-distribution.ts'
import { daemonFile } from './gradle-version.ts'
import type { Jdk } from './jdk.ts'
import { proxyOptions } from './proxies.ts'

/** Archives whose bytes depend only on their contents (docs.gradle.org, "Reproducible archives"). */
const initScript = `allprojects {
    def archives = tasks.withType(AbstractArchiveTask)
    def reproducible = {
        preserveFileTimestamps = false
        reproducibleFileOrder = true
    }
    // Gradle has configureEach from 4.9 on.
    archives.respondsTo('configureEach') ? archives.configureEach(reproducible) : archives.all(reproducible)
}
`

/** Builds with the application's Gradle wrapper, or with the chosen Gradle. Downloads stay in a cache. */
export async function buildWithGradle(
  context: BuildContext,
  { jdk, temp, gradle }: { jdk: Jdk; temp: string; gradle: GradleChoice | undefined },
): Promise<void> {
  const { app, env, layer, log, run } = context
  const cache = await layer('gradle', {
    types: { cache: true },
    key: { home: 'gradle' },
    restore: () => keep,
    create: async () => {},
  })
  const script = join(temp, 'reproducible.gradle')
  await writeFile(script, initScript)
  const tasks = tasksOf(env)
  const program = gradle === undefined ? app.at('gradlew') : await provideGradle(context, gradle, { jdk, temp })
  const shown = `${gradle === undefined ? './gradlew' : 'gradle'} ${tasks.join(' ')}`
  await using _settings = await linkSettings(context, cache.path)
  await using _daemon = await setAsideDaemonJvm(context, jdk)
  await log.step(`Running ${shown}`, () =>
    run(['sh', program, '--no-daemon', '--console=plain', '--init-script', script, ...tasks], {
      name: shown,
      step: 'build',
      env: {
        ...jdk.env,
        HOME: cache.path,
        GRADLE_USER_HOME: cache.path,
        GRADLE_OPTS: [env['GRADLE_OPTS'], ...proxyOptions(env)].filter(Boolean).join(' ') || undefined,
      },
      fix: (stderr, stdout) => explain(stdout + stderr),
    }),
  )
}

/** Links the settings of a binding, with credentials and mirrors, while Gradle runs: the cache never contains them. */
async function linkSettings(context: BuildContext, home: string): Promise<AsyncDisposable> {
  const file = join(home, 'gradle.properties')
  const remove = () => rm(file, { force: true })
  await remove()
  const bound = await boundFile(context, 'gradle', 'gradle.properties')
  if (bound !== undefined) {
    context.log.info(`Settings: the binding ${bound.binding.name}`)
    await symlink(bound.path, file)
  }
  return { [Symbol.asyncDispose]: remove }
}

/**
 * Hides the file that names the JDK for Gradle itself, while Gradle runs: it has the JDK of the build, and would refuse or download others
 * (docs.gradle.org, "Daemon JVM criteria").
 */
async function setAsideDaemonJvm({ app, log }: BuildContext, jdk: Jdk): Promise<AsyncDisposable | undefined> {
  if (!(await app.has(daemonFile))) return undefined
  log.info(`Gradle runs on the JDK of the build, Java ${jdk.version}: ${daemonFile} has no effect`)
  const hidden = app.at(`${daemonFile}.unused`)
  await rename(app.at(daemonFile), hidden)
  return { [Symbol.asyncDispose]: () => rename(hidden, app.at(daemonFile)) }
}

function tasksOf(env: Readonly<Record<string, string>>): string[] {
  const words = (name: string): string[] => splitWords(env[name] ?? '', name)
  const own = firstSetting(env, 'BP_GRADLE_BUILD_ARGUMENTS', 'GOOGLE_GRADLE_BUILD_ARGS', 'GRADLE_TASK')?.name
  const module = firstSetting(env, 'BP_GRADLE_BUILT_MODULE', 'GOOGLE_BUILDABLE')?.value
  const assemble = module === undefined ? 'assemble' : `:${module.replaceAll('/', ':')}:assemble`
  return [
    ...(own === undefined ? [assemble, '-x', 'test'] : words(own)),
    ...words('BP_GRADLE_ADDITIONAL_BUILD_ARGUMENTS'),
    ...words('GOOGLE_BUILD_ARGS'),
  ]
}

function explain(output: string): string | undefined {
  const fixes: readonly (readonly [RegExp, string])[] = [
    [
      /Could not (resolve|GET|HEAD)|UnknownHostException|Connection refused/,
      'check the network, distributionUrl of the wrapper, and the repositories; a binding of the type gradle with gradle.properties has credentials and proxies',
    ],
    [
      /Unsupported class file major version|requires Java|incompatible with.*Java/,
      'set BP_JVM_VERSION, or use a newer Gradle',
    ],
  ]
  return fixes.find(([pattern]) => pattern.test(output))?.[1]
}
