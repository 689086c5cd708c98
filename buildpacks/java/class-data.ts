import { readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type BuildContext,
  digestOf,
  digestOfFile,
  firstSetting,
  isSet,
  splitWords,
  withTempDir,
} from '../sdk/index.ts'
import type { Jre } from './jdk.ts'
import type { Switch } from './launch-script.ts'

/**
 * Makes an archive of the classes that a Spring Boot application loads until it is ready, which the JVM maps into memory rather than parse
 * and verify them at each start (JEP 310). The application starts once for it, and ends before it answers.
 */
export async function provideClassData(context: BuildContext, jre: Jre, jar: string): Promise<Switch> {
  const { app, env, layer, log, run } = context
  const setting = firstSetting(env, 'TRAINING_RUN_JAVA_TOOL_OPTIONS', 'CDS_TRAINING_JAVA_TOOL_OPTIONS')
  const own = setting === undefined ? [] : splitWords(setting.value, setting.name)
  const aot = isSet(env, 'BP_SPRING_AOT_ENABLED') ? ['-Dspring.aot.enabled=true'] : []
  const { path } = await layer('class-data', {
    title: 'class data',
    types: { launch: true },
    key: { JRE: jre.digest, application: await digestOfApplication(app.path), options: [...own, ...aot].join(' ') },
    create: async dir => {
      const java = join(jre.home, 'bin/java')
      const options = { cwd: app.path, env: { ...jre.env, JAVA_TOOL_OPTIONS: undefined }, quiet: true }
      await withTempDir(async temp => {
        const list = join(temp, 'classes.lst')
        const training = [`-XX:DumpLoadedClassList=${list}`, '-Xshare:off', '-Dspring.context.exit=onRefresh']
        await log.step('Starting the application once, for the classes that it loads', () =>
          run([java, ...training, ...own, ...aot, '-jar', jar], {
            ...options,
            name: 'the start for class data',
            fix: 'set TRAINING_RUN_JAVA_TOOL_OPTIONS so that it starts without what it reaches when it runs (-Dspring.profiles.active=training), or leave BP_JVM_CDS_ENABLED out',
          }),
        )
        await writeFile(list, sortClasses(await readFile(list, 'utf8')))
        const dump = ['-Xshare:dump', ...withoutCollections, `-XX:SharedClassListFile=${list}`]
        await run([java, ...dump, `-XX:SharedArchiveFile=${join(dir, 'application.jsa')}`, '-cp', jar], {
          ...options,
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

/** The archive has the age of each object: how often it was there when the collector came by, which is another number each time. */
const withoutCollections = ['-XX:+UseG1GC', '-Xms512m', '-Xmx512m', '-Xmn400m', '-XX:MetaspaceSize=512m'] as const

/** Threads load classes in any order, by which they have their numbers. Those of loaders of the application's own cannot do without these. */
export function sortClasses(list: string): string {
  const lines = list.split('\n').filter(line => line !== '' && !line.startsWith('#') && !line.includes(' source: '))
  return `${[...new Set(lines.map(line => line.replace(/ id: \d+$/, '')))].toSorted().join('\n')}\n`
}

/** The JVM compares the times of archives with those of the class data, and files of layers have this one (platform.md, "Layer timestamps"). */
const time = new Date('1980-01-01T00:00:01Z')

async function digestOfApplication(dir: string): Promise<string> {
  const files = (await readdir(dir, { recursive: true, withFileTypes: true })).filter(entry => entry.isFile())
  const paths = files.map(({ parentPath, name }) => join(parentPath, name)).toSorted()
  const digests: string[] = []
  for (const path of paths) {
    await utimes(path, time, time)
    digests.push(path, await digestOfFile(path))
  }
  return digestOf(...digests)
}
