import { constants, cp, readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type BuildContext, digestOf, digestOfFile, firstSetting, splitWords, withTempDir } from '../sdk/index.ts'
import { readArchive } from './archive.ts'
import type { Jre } from './jdk.ts'
import type { Switch } from './launch-script.ts'

/**
 * Creates an archive of the classes that a Spring Boot application loads until it is ready. The JVM maps it into memory instead of
 * parsing and verifying the classes at each start (JEP 310). The application starts once for it, and ends before it answers.
 * @param switches options of the image's start: those that are on there are also on in this start
 */
export async function provideClassData(
  context: BuildContext,
  jre: Jre,
  jar: string,
  switches: readonly Switch[],
): Promise<Switch> {
  const { app, env, layer, log, run } = context
  const setting = firstSetting(env, 'TRAINING_RUN_JAVA_TOOL_OPTIONS', 'CDS_TRAINING_JAVA_TOOL_OPTIONS')
  const own = setting === undefined ? [] : splitWords(setting.value, setting.name)
  const options = [...own, ...switches.flatMap(({ isOn, option }) => (isOn ? [option] : []))]
  await setTimes(jar)
  const { path } = await layer('class-data', {
    title: 'class data',
    types: { launch: true },
    // A digest of the options, which may contain passwords: the image shows the key.
    key: { JRE: jre.digest, application: await digestOfApplication(app.path), options: digestOf(...options) },
    create: async dir => {
      const java = join(jre.home, 'bin/java')
      const command = { env: { ...jre.env, JAVA_TOOL_OPTIONS: undefined }, quiet: true }
      await withTempDir(async temp => {
        const list = join(temp, 'classes.lst')
        // The application runs in a copy of its directory, so files that it writes are not in the image.
        const copy = join(temp, 'application')
        await cp(app.path, copy, { recursive: true, verbatimSymlinks: true, mode: constants.COPYFILE_FICLONE })
        const training = [`-XX:DumpLoadedClassList=${list}`, '-Xshare:off', '-Dspring.context.exit=onRefresh']
        await log.step('Starting the application once to record the classes that it loads', () =>
          run([java, ...training, ...options, '-jar', jar], {
            ...command,
            cwd: copy,
            name: 'the start for class data',
            fix: 'set TRAINING_RUN_JAVA_TOOL_OPTIONS so that it starts without what it reaches when it runs (-Dspring.profiles.active=training), or leave BP_JVM_CDS_ENABLED out',
          }),
        )
        await writeFile(list, sortClasses(await readFile(list, 'utf8')))
        const dump = ['-Xshare:dump', ...withoutCollections, `-XX:SharedClassListFile=${list}`]
        await run([java, ...dump, `-XX:SharedArchiveFile=${join(dir, 'application.jsa')}`, '-cp', jar], {
          ...command,
          cwd: temp,
          name: 'java -Xshare:dump',
        })
      })
    },
  })
  return {
    variables: ['BPL_JVM_CDS_ENABLED', 'BPL_JVM_AOTCACHE_ENABLED'],
    isOn: true,
    option: `-XX:SharedArchiveFile=${join(path, 'application.jsa')}`,
  }
}

/**
 * The archive records how many garbage collections each object has survived, which differs from run to run. With this much memory there
 * is no collection.
 */
const withoutCollections = ['-XX:+UseG1GC', '-Xms512m', '-Xmx512m', '-Xmn400m', '-XX:MetaspaceSize=512m'] as const

/**
 * Sorts the list of classes, since threads load them in a varying order. ` id: ` is the index of a class in it. Lines with ` source: `
 * are for the application's own class loaders. They refer to other classes by their ids, so they are removed.
 */
export function sortClasses(list: string): string {
  const lines = list.split('\n').filter(line => line !== '' && !line.startsWith('#') && !line.includes(' source: '))
  return `${[...new Set(lines.map(line => line.replace(/ id: \d+$/, '')))].toSorted().join('\n')}\n`
}

/** The time of files in layers (platform.md, "Layer timestamps"). */
const layerTime = new Date('1980-01-01T00:00:01Z')

/** Sets the times of the class path to those in the image, which the JVM compares. Other files may belong to another user. */
async function setTimes(jar: string): Promise<void> {
  const { manifest } = await readArchive(jar)
  const libraries = (manifest['Class-Path'] ?? '').split(/\s+/).filter(Boolean)
  for (const path of [jar, ...libraries.map(name => join(dirname(jar), name))]) await utimes(path, layerTime, layerTime)
}

async function digestOfApplication(dir: string): Promise<string> {
  const files = (await readdir(dir, { recursive: true, withFileTypes: true })).filter(entry => entry.isFile())
  const paths = files.map(({ parentPath, name }) => join(parentPath, name)).toSorted()
  const digests: string[] = []
  for (const path of paths) digests.push(path, await digestOfFile(path))
  return digestOf(...digests)
}
