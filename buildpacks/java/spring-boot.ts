import { basename, join } from 'node:path'
import { type BuildContext, BuildpackError, isSet } from '../sdk/index.ts'
import { archiveTime, countClasses, type JavaArchive } from './archive.ts'
import type { Jdk } from './jdk.ts'
import { inspectLibraries } from './libraries.ts'
import type { Switch } from './launch-script.ts'
import { type ImageFiles, web } from './start.ts'

type Env = BuildContext['env']

const classDataSettings = ['BP_JVM_CDS_ENABLED', 'BP_JVM_AOTCACHE_ENABLED'] as const

/** Whether the user wants an archive of the application's classes, which halves the start time. */
export const wantsClassData = (env: Env): boolean => classDataSettings.some(name => isSet(env, name))

/**
 * Extracts a Spring Boot archive into one that names its libraries beside it, from which a class data archive can be made (Spring Boot,
 * "Efficient Deployments", "Unpacking the Executable JAR").
 */
export async function extractArchive(
  { run }: Pick<BuildContext, 'run'>,
  jdk: Jdk,
  { path, manifest, entries }: JavaArchive,
  stage: string,
): Promise<void> {
  if (!entries.some(name => /spring-boot-jarmode-tools-[^/]*\.jar$/.test(name))) {
    throw new BuildpackError(
      `Spring Boot ${manifest['Spring-Boot-Version'] ?? ''} cannot unpack itself for class data`,
      {
        where: basename(path),
        fix: 'use Spring Boot 3.3 or newer, with its tools in the archive, or leave BP_JVM_CDS_ENABLED out',
      },
    )
  }
  const main = manifest['Start-Class']
  if (main === undefined) {
    throw new BuildpackError('its manifest has no Start-Class, which class data needs', {
      where: basename(path),
      fix: "set mainClass of Spring Boot's plugin, or leave BP_JVM_CDS_ENABLED out",
    })
  }
  const args = ['-Djarmode=tools', '-jar', path, 'extract', '--destination', stage, '--force']
  await run([`${jdk.home}/bin/java`, ...args], { env: jdk.env, quiet: true, name: 'unpacking Spring Boot' })
  // The manifest contains the current time, so it is written again with a fixed time and the same content.
  const start = ['--main-class', main, '--date', archiveTime]
  await run([`${jdk.home}/bin/jar`, '--update', '--file', join(stage, basename(path)), ...start], {
    env: jdk.env,
    quiet: true,
    name: 'jar',
  })
}

/** The start of an extracted archive with its libraries beside it. */
export async function startExtracted({ app, env, log }: BuildContext, archive: JavaArchive): Promise<ImageFiles> {
  const jar = app.at(basename(archive.path))
  const { components, classes } = await inspectLibraries(app.path)
  return {
    processes: [web(['java', '-jar', jar])],
    slices: [{ paths: ['lib'] }],
    components,
    classes: classes + countClasses(archive),
    switches: aotSwitch({ env, log }, archive),
    training: jar,
    shown: shownAs(archive),
  }
}

/** Unpacks the archive, and gives each layer of Spring Boot's index a slice of its own (Spring Boot, "Layering Docker Images"). */
export async function startSpringBoot(
  { app, env, log }: BuildContext,
  archive: JavaArchive,
  index: string,
): Promise<ImageFiles> {
  const main = archive.manifest['Main-Class'] ?? ''
  const { components, classes } = await inspectLibraries(app.path)
  return {
    processes: [web(['java', '-cp', app.path, main])],
    slices: parseLayersIndex(index).map(paths => ({ paths })),
    components,
    classes: classes + countClasses(archive),
    switches: aotSwitch({ env, log }, archive),
    shown: shownAs(archive),
  }
}

const shownAs = ({ manifest }: JavaArchive): string =>
  `Spring Boot ${manifest['Spring-Boot-Version'] ?? ''} (${manifest['Start-Class'] ?? manifest['Main-Class'] ?? ''})`

/** The switch for beans that the build has already computed (Spring Boot, "Ahead-of-Time Processing With the JVM"). */
function aotSwitch({ env, log }: Pick<BuildContext, 'env' | 'log'>, { path, entries }: JavaArchive): readonly Switch[] {
  // Spring starts with this class. META-INF/native-image is no proof, since it may be written by hand.
  const isProcessed = entries.some(name => name.endsWith('__ApplicationContextInitializer.class'))
  const isWanted = isSet(env, 'BP_SPRING_AOT_ENABLED')
  if (isWanted && !isProcessed) {
    log.warning(
      `BP_SPRING_AOT_ENABLED: ${basename(path)} has no beans that Spring worked out ahead of time`,
      'Have the build run spring-boot:process-aot, or processAot of Gradle.',
    )
  }
  const option = '-Dspring.aot.enabled=true'
  return isProcessed ? [{ variables: ['BPL_SPRING_AOT_ENABLED'], isOn: isWanted, option }] : []
}

/** Warns of settings that have no effect on the start, with the reason. */
export function warnOfUnusedSettings({ env, log }: Pick<BuildContext, 'env' | 'log'>, files: ImageFiles): void {
  const why = `Only a Spring Boot archive with layers.idx that the image starts itself can use it, and this image starts ${files.shown}.`
  const unused = [
    ...(files.training === undefined ? classDataSettings : []),
    ...(files.switches === undefined ? ['BP_SPRING_AOT_ENABLED'] : []),
  ]
  for (const name of unused.filter(name => isSet(env, name))) log.warning(`${name} has no effect`, why)
}

/** Parses `- "dependencies":` and below it `  - "BOOT-INF/lib/"`. The last layer is the application itself, which needs no slice. */
export function parseLayersIndex(index: string): string[][] {
  const layers: string[][] = []
  let isApplication = false
  for (const line of index.split(/\r?\n/)) {
    const [, layer] = /^- "(.*)":/.exec(line) ?? []
    const [, path] = /^ {2}- "(.*)"/.exec(line) ?? []
    if (layer !== undefined) {
      isApplication = layer === 'application'
      layers.push([])
    } else if (path !== undefined && !isApplication) layers.at(-1)?.push(path.replace(/\/$/, ''))
  }
  return layers.filter(paths => paths.length > 0)
}
