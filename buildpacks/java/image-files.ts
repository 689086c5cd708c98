import { chmod, cp, mkdir, readdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { type BuildContext, BuildpackError, type Component, firstSetting, type LaunchProcess } from '../sdk/index.ts'
import { countClasses, type JavaArchive, readArchive } from './archive.ts'
import type { Artifact } from './artifact.ts'
import type { Jdk } from './jdk.ts'

/** What stays in the image, and how it starts. */
export interface ImageFiles {
  readonly process: Omit<LaunchProcess, 'type'>
  readonly slices: readonly { readonly paths: readonly string[] }[]
  readonly components: readonly Component[]
  /** How many classes the application and its libraries have. */
  readonly classes: number
  readonly shown: string
}

/** What the Procfile's buildpack and others read yet. */
const kept = ['Procfile', 'app.yaml', 'project.toml']

/** Replaces the sources in the application's directory by what the build made, and says how that starts. */
export async function placeArtifact(
  context: BuildContext,
  artifact: Artifact,
  temp: string,
  jdk: Jdk,
): Promise<ImageFiles> {
  const stage = join(temp, 'application')
  await mkdir(stage)
  if (artifact.kind === 'distribution') {
    await unzip(context, jdk, artifact.path, stage)
    await replaceSources(context, stage)
    return startDistribution(context)
  }
  const { archive } = artifact
  const isQuarkus = basename(archive.path) === 'quarkus-run.jar'
  if (isQuarkus) await cp(dirname(archive.path), stage, { recursive: true })
  else if (archive.layersIndex !== undefined) await unzip(context, jdk, archive.path, stage)
  else {
    await cp(archive.path, join(stage, basename(archive.path)))
    await copyClassPath(context, archive, stage)
  }
  await replaceSources(context, stage)
  return archive.layersIndex === undefined
    ? startArchive(context, archive, isQuarkus)
    : startSpringBoot(context, archive, archive.layersIndex)
}

/** An archive that is unpacked already: its classes and libraries are the application's directory. */
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
  const process = { command: ['java', '-cp', paths.join(':'), main] as const, default: true }
  return { process, slices: [], components, classes, shown: main }
}

/** An archive whose manifest names libraries beside it (JAR file specification, "Class-Path"). */
async function copyClassPath({ log }: BuildContext, { path, manifest }: JavaArchive, stage: string): Promise<void> {
  const names = (manifest['Class-Path'] ?? '').split(/\s+/).filter(Boolean)
  const outside = names.filter(name => /^([a-z]+:|\/)|(^|\/)\.\.(\/|$)/.test(name))
  if (outside.length > 0) {
    log.warning(
      `${basename(path)}: Class-Path in its manifest names what is not beside it, and is not in the image: ${outside.join(', ')}`,
      'Have the build copy the libraries next to the archive, and name them by relative paths.',
    )
  }
  for (const name of names) {
    if (outside.includes(name)) continue
    const from = join(dirname(path), name)
    await cp(from, join(stage, name), { recursive: true }).catch((cause: unknown) => {
      throw new BuildpackError(`its manifest names ${name} in Class-Path, which is not there`, {
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
): Promise<ImageFiles> {
  const name = basename(path)
  const { components, classes } = await inspectLibraries(app.path)
  return {
    process: { command: ['java', '-jar', app.at(name)], default: true },
    // Libraries change less often than the application.
    slices: isQuarkus
      ? [{ paths: ['lib'] }, { paths: ['quarkus'] }]
      : (await app.hasDirectory('lib'))
        ? [{ paths: ['lib'] }]
        : [],
    components: components.length > 1 ? components : [component],
    classes,
    shown: `java -jar ${name}`,
  }
}

/** Unpacked, the parts that Spring Boot's index tells apart get layers of their own (Spring Boot, "Layering Docker Images"). */
async function startSpringBoot({ app }: BuildContext, archive: JavaArchive, index: string): Promise<ImageFiles> {
  const main = archive.manifest['Main-Class'] ?? ''
  const { components, classes } = await inspectLibraries(app.path)
  return {
    process: { command: ['java', '-cp', app.path, main], default: true },
    slices: parseLayersIndex(index).map(paths => ({ paths })),
    components,
    classes: classes + countClasses(archive),
    shown: `Spring Boot ${archive.manifest['Spring-Boot-Version'] ?? ''} (${archive.manifest['Start-Class'] ?? main})`,
  }
}

/** `- "dependencies":` and below it `  - "BOOT-INF/lib/"`. The application itself, the last layer, is what no slice has. */
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

async function startDistribution({ app, env }: BuildContext): Promise<ImageFiles> {
  const tops = (await readdir(app.path, { withFileTypes: true })).filter(entry => entry.isDirectory())
  const [top] = tops.filter(({ name }) => !name.startsWith('.'))
  const bin = join(top?.name ?? '', 'bin')
  const scripts = (await readdir(app.at(bin)).catch(() => [])).filter(name => !name.endsWith('.bat'))
  const wanted = firstSetting(env, 'BP_EXECUTABLE_NAME')?.value
  const script = scripts.find(name => name === wanted) ?? (scripts.length === 1 ? scripts[0] : undefined)
  if (script === undefined) {
    throw new BuildpackError(
      `the distribution has ${scripts.length === 0 ? 'no script' : `several scripts: ${scripts.join(', ')}`} in ${bin}`,
      {
        where: 'build/distributions',
        fix: 'set BP_EXECUTABLE_NAME to the script that starts the application, or name the command in a Procfile',
      },
    )
  }
  await chmod(app.at(bin, script), 0o755)
  const { components, classes } = await inspectLibraries(app.path)
  return {
    process: { command: [app.at(bin, script)], default: true },
    slices: [],
    components,
    classes,
    shown: join(bin, script),
  }
}

/** Every archive in a directory: libraries for the bill of materials, and how many classes there are. */
async function inspectLibraries(dir: string): Promise<{ components: Component[]; classes: number }> {
  const components: Component[] = []
  let classes = 0
  for (const path of (await readdir(dir, { recursive: true, encoding: 'utf8' })).toSorted()) {
    if (!/\.[jw]ar$/.test(path)) continue
    const archive = await readArchive(join(dir, path))
    components.push(archive.component)
    classes += countClasses(archive)
  }
  return { components, classes }
}

async function unzip({ run }: BuildContext, { home, env }: Jdk, file: string, dir: string): Promise<void> {
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
