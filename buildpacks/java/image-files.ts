import { chmod, cp, mkdir, readdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { isErrno } from '../../lifecycle/errors.ts'
import { type App, type BuildContext, BuildpackError, firstSetting } from '../sdk/index.ts'
import type { JavaArchive } from './archive.ts'
import type { Artifact } from './artifact.ts'
import { stageDropwizard } from './dropwizard.ts'
import { copyInvoker, functionCommand } from './functions.ts'
import { hiddenFiles } from './hidden-files.ts'
import type { Jdk } from './jdk.ts'
import { inspectLibraries } from './libraries.ts'
import { requireClass } from './main-class.ts'
import { pomFile } from './pom.ts'
import type { Maven } from './maven-artifacts.ts'
import { copyLibraries } from './maven.ts'
import { makeArchiveReproducible, makeReproducible } from './reproducible.ts'
import { extractArchive, startExtracted, startSpringBoot, wantsClassData } from './spring-boot.ts'
import { type ImageFiles, web } from './start.ts'
import { provideTomcat, type Tomcat } from './tomcat.ts'

/** Files that the Procfile buildpack and later buildpacks still have to read. */
const kept = ['Procfile', 'app.yaml', 'project.toml']

export interface BuildTools {
  readonly jdk: Jdk
  readonly temp: string
  /** The Maven that built the application, else Debian's. */
  readonly openMaven: () => Promise<Maven>
  /** The time when this build began: younger archives are its own. */
  readonly start: Date
}

/** Replaces the sources in the application's directory with the build's result, and returns how that starts. */
export async function placeArtifact(context: BuildContext, artifact: Artifact, tools: BuildTools): Promise<ImageFiles> {
  const { app } = context
  const { jdk, temp, start } = tools
  const stage = join(temp, 'application')
  await mkdir(stage)
  const place = async () => {
    await makeReproducible(stage, start)
    await replaceSources(context, stage)
  }
  // It may be unpacked.
  if ('archive' in artifact) await makeArchiveReproducible(artifact.archive.path, start)
  if (artifact.kind === 'distribution') {
    if (artifact.path.endsWith('.zip')) await unzip(context, jdk, artifact.path, stage)
    else await cp(artifact.path, stage, { recursive: true, verbatimSymlinks: true })
    await place()
    return startDistribution(context)
  }
  if (artifact.kind === 'class path') {
    // Archives of two modules may have the same name.
    const libraries = artifact.paths.map((path, index) => join('lib', String(index + 1), basename(path)))
    for (const [index, path] of artifact.paths.entries()) await cp(path, join(stage, libraries[index] ?? ''))
    await place()
    return startLibraries(context, artifact.main, libraries)
  }
  const { archive } = artifact
  if (artifact.kind === 'war') {
    // Tomcat serves everything in its directory, so no remaining source file may be in it.
    const webapp = { path: app.at('webapp'), staged: join(stage, 'webapp') }
    await mkdir(webapp.staged)
    await unzip(context, jdk, archive.path, webapp.staged)
    // Before the application's Maven wrapper and settings are removed, since they download it.
    const tomcat = await provideTomcat(context, webapp, tools)
    await place()
    return startTomcat(context, tomcat, 'webapp')
  }
  if (artifact.kind === 'classes') {
    await cp(archive.path, join(stage, basename(archive.path)))
    await stageLibraries(context, tools, archive, stage)
    await requireClass(artifact.main, archive, { libraries: join(stage, 'lib'), pom: pomFile(context.env) })
    const args = await stageDropwizard(context, archive, stage, artifact.main)
    await place()
    return startClasses(context, archive, [artifact.main, ...args])
  }
  if (artifact.kind === 'function') {
    await cp(archive.path, join(stage, basename(archive.path)))
    await stageLibraries(context, tools, archive, stage)
    const program = await copyInvoker(await tools.openMaven(), join(stage, 'invoker'), temp)
    await place()
    return startFunction(context, artifact, basename(program))
  }
  const isQuarkus = basename(archive.path) === 'quarkus-run.jar'
  const isTrained = archive.layersIndex !== undefined && wantsClassData(context.env)
  if (isQuarkus) await cp(dirname(archive.path), stage, { recursive: true })
  else if (isTrained) await extractArchive(context, jdk, archive, stage)
  else if (archive.layersIndex !== undefined) await unzip(context, jdk, archive.path, stage)
  else {
    await cp(archive.path, join(stage, basename(archive.path)))
    await copyClassPath(context, archive, stage)
  }
  const args = archive.layersIndex === undefined ? await stageDropwizard(context, archive, stage) : []
  await place()
  if (isTrained) return startExtracted(context, archive)
  return archive.layersIndex === undefined
    ? startArchive(context, archive, isQuarkus, args)
    : startSpringBoot(context, archive, archive.layersIndex)
}

/** The libraries of an archive that does not name them: Maven knows which ones a project needs at run time. */
async function stageLibraries(
  context: BuildContext,
  { openMaven }: BuildTools,
  { path }: JavaArchive,
  stage: string,
): Promise<void> {
  const libraries = await copyLibraries(context, await openMaven(), dirname(path))
  await cp(libraries, join(stage, 'lib'), { recursive: true }).catch((error: unknown) => {
    // A project without libraries gets no directory.
    if (!isErrno(error, 'ENOENT')) throw error
  })
}

async function startClasses(
  context: BuildContext,
  { path }: JavaArchive,
  start: readonly [main: string, ...args: string[]],
): Promise<ImageFiles> {
  const { app } = context
  const { components, classes } = await inspectLibraries(app.path)
  const hasLibraries = await app.hasDirectory('lib')
  const classPath = [app.at(basename(path)), ...(hasLibraries ? [app.at('lib/*')] : [])].join(':')
  return {
    processes: [web(['java', '-cp', classPath, ...start])],
    slices: hasLibraries ? [{ paths: ['lib'] }] : [],
    components,
    classes,
    shown: `${start.join(' ')} in ${basename(path)}`,
  }
}

async function startFunction(
  { app }: BuildContext,
  { archive, target }: Artifact & { kind: 'function' },
  program: string,
): Promise<ImageFiles> {
  const { components, classes } = await inspectLibraries(app.path)
  const hasLibraries = await app.hasDirectory('lib')
  const classPath = [app.at(basename(archive.path)), ...(hasLibraries ? [app.at('lib/*')] : [])]
  return {
    processes: [web(functionCommand(app.at('invoker', program), classPath, target))],
    slices: [{ paths: ['invoker'] }, ...(hasLibraries ? [{ paths: ['lib'] }] : [])],
    components,
    classes,
    shown: `the function ${target} in ${basename(archive.path)}`,
  }
}

async function startLibraries({ app }: BuildContext, main: string, libraries: readonly string[]): Promise<ImageFiles> {
  // One by one: with `lib/*` the JVM uses the order of the directory, and of two classes with the same name the first counts.
  const command = ['java', '-cp', libraries.map(path => app.at(path)).join(':'), main] as const
  return { ...(await inspectLibraries(app.path)), processes: [web(command)], slices: [], shown: main }
}

/** A web application that is already unpacked, in a servlet container. */
export async function startWebApplication(context: BuildContext, tools: BuildTools): Promise<ImageFiles> {
  const { path } = context.app
  const hidden = await hiddenFiles(path, kept)
  return startTomcat(context, await provideTomcat(context, { path, staged: path, hidden }, tools), '.')
}

async function startTomcat({ app }: BuildContext, tomcat: Tomcat, webapp: string): Promise<ImageFiles> {
  const { components, classes } = await inspectLibraries(app.path)
  return {
    processes: [web(tomcat.command)],
    slices: [{ paths: [join(webapp, 'WEB-INF/lib')] }],
    components,
    classes: classes + tomcat.classes,
    options: tomcat.options,
    shown: `Tomcat ${tomcat.version}`,
  }
}

/** An archive that is already unpacked: its classes and libraries are the application's directory. */
export async function startExploded(
  { app }: BuildContext,
  manifest: Readonly<Record<string, string>>,
): Promise<ImageFiles> {
  const main = manifest['Main-Class'] ?? ''
  const { components, classes } = await inspectLibraries(app.path)
  const paths = [
    app.path,
    ...(manifest['Class-Path'] ?? '')
      .split(/\s+/)
      .filter(Boolean)
      .map(name => app.at(name)),
  ]
  return { processes: [web(['java', '-cp', paths.join(':'), main])], slices: [], components, classes, shown: main }
}

/** Copies an archive whose manifest names libraries beside it (JAR file specification, "Class-Path"). */
async function copyClassPath({ log }: BuildContext, { path, manifest }: JavaArchive, stage: string): Promise<void> {
  const names = (manifest['Class-Path'] ?? '').split(/\s+/).filter(Boolean)
  const outside = names.filter(name => /^([a-z]+:|\/)|(^|\/)\.\.(\/|$)/.test(name))
  if (outside.length > 0) {
    log.warning(
      `${basename(path)}: Class-Path in its manifest names files that are not beside it and not in the image: ${outside.join(', ')}`,
      'Let the build copy the libraries next to the archive, and name them by relative paths.',
    )
  }
  for (const name of names) {
    if (outside.includes(name)) continue
    const from = join(dirname(path), name)
    await cp(from, join(stage, name), { recursive: true }).catch((cause: unknown) => {
      throw new BuildpackError(`its manifest names ${name} in Class-Path, which does not exist`, {
        where: basename(path),
        fix: 'copy the libraries there as part of the build, for example with dependency:copy-dependencies',
        cause,
      })
    })
  }
}

async function startArchive(
  { app }: BuildContext,
  { path, component }: JavaArchive,
  isQuarkus: boolean,
  args: readonly string[],
): Promise<ImageFiles> {
  const name = basename(path)
  const { components, classes } = await inspectLibraries(app.path)
  return {
    processes: [web(['java', '-jar', app.at(name), ...args])],
    // Libraries change less often than the application.
    slices: isQuarkus
      ? [{ paths: ['lib'] }, { paths: ['quarkus'] }]
      : (await app.hasDirectory('lib'))
        ? [{ paths: ['lib'] }]
        : [],
    components: components.length > 1 ? components : [component],
    classes,
    shown: ['java -jar', name, ...args].join(' '),
  }
}

export async function startDistribution({ app, env }: BuildContext): Promise<ImageFiles> {
  const script = await findScript(app, env)
  const libraries = await inspectLibraries(app.path)
  return { ...libraries, processes: [web([app.at(script)])], slices: [], shown: script }
}

/** The script of a distribution that starts the application: `bin/shop`, or `shop-1.0/bin/shop`. */
export async function findScript(distribution: App, env: BuildContext['env']): Promise<string> {
  const tops = (await readdir(distribution.path, { withFileTypes: true })).filter(entry => entry.isDirectory())
  let bin = 'bin'
  for (const { name } of tops) {
    const isThere = await distribution.hasDirectory(bin)
    if (!isThere && (await distribution.hasDirectory(join(name, 'bin')))) bin = join(name, 'bin')
  }
  const scripts = (await readdir(distribution.at(bin)).catch(() => [])).filter(name => !/\.bat$|^\./.test(name))
  const wanted = firstSetting(env, 'BP_EXECUTABLE_NAME')?.value
  const script = scripts.find(name => name === wanted) ?? (scripts.length === 1 ? scripts[0] : undefined)
  if (script === undefined) {
    throw new BuildpackError(
      `the distribution has ${scripts.length === 0 ? 'no script' : `several scripts: ${scripts.join(', ')}`} in ${bin}`,
      {
        where: bin,
        fix: 'set BP_EXECUTABLE_NAME to the script that starts the application, or name the command in a Procfile',
      },
    )
  }
  await chmod(distribution.at(bin, script), 0o755)
  return join(bin, script)
}

export async function unzip({ run }: BuildContext, { home, env }: Jdk, file: string, dir: string): Promise<void> {
  await run([join(home, 'bin/jar'), '--extract', '--file', file], {
    cwd: dir,
    env,
    quiet: true,
    name: `unpacking ${basename(file)}`,
  })
}

async function replaceSources({ app, env, log }: BuildContext, stage: string): Promise<void> {
  const include = firstSetting(env, 'BP_INCLUDE_FILES', 'BP_KEEP_FILES')?.value.split(':').filter(Boolean) ?? []
  const keep = new Set([...kept, ...include.map(path => path.replace(/^\.?\//, '').split('/')[0] ?? '')])
  for (const name of await readdir(app.path)) {
    if (!keep.has(name)) await rm(app.at(name), { recursive: true, force: true })
  }
  // The stage may be on another file system, where a rename fails.
  await cp(stage, app.path, { recursive: true, verbatimSymlinks: true })
  if (include.length > 0) log.info(`The image keeps ${include.join(', ')} of the source`)
}
