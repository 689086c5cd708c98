import { chmod, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { bale } from './bale.ts'
import { temporaryDirectory } from './temporary.ts'
import { type Tree, writeTree } from './tree.ts'
import { type ZipEntry, zipOf } from './zip.ts'

/** Debian's Gradle, in the form in which its wrapper gets one. */
export interface GradleDistribution {
  readonly version: string
  /** What the wrapper downloads. */
  readonly zip: Buffer
  /** The wrapper's files, as `gradle wrapper` writes them. */
  readonly wrapper: Tree
  /** Options of `bale build`: Debian's Gradle finds its parts in /usr/share alone, wherever the wrapper unpacks it. */
  readonly volumes: readonly string[]
}

const layer = '/layers/bale_apt/packages'
const version = '4.4.1'
const procfile = `pack: cp -rL ${layer}/usr/share/gradle ${layer}/usr/share/java /out
wrap: cd /out/project && JAVA_HOME=${layer}/usr/lib/jvm/default-java sh /usr/share/gradle/bin/gradle --no-daemon --offline wrapper
`

/** Packs Debian's Gradle as a distribution, and has it write its wrapper. */
export async function packGradle(): Promise<GradleDistribution> {
  const source = await temporaryDirectory()
  const out = await temporaryDirectory()
  const image = 'bale-test-gradle-distribution'
  await writeTree(source, { Procfile: procfile })
  await writeTree(out, { 'project/settings.gradle': '' })
  for (const dir of [out, join(out, 'project')]) await chmod(dir, 0o777)
  await run(['build', image, '--path', source, '--env', 'RAILPACK_DEPLOY_APT_PACKAGES=gradle'])
  const [gradle, java, project] = ['gradle', 'java', 'project'].map(name => join(out, name)) as [string, string, string]
  await run(['run', image, '--process', 'pack', '--volume', `${out}:/out:rw`])
  const volumes = [`${gradle}:/usr/share/gradle`, `${java}:/usr/share/java`].flatMap(volume => ['--volume', volume])
  await run(['run', image, '--process', 'wrap', '--volume', `${out}:/out:rw`, ...volumes])
  const zip = zipOf(...(await entriesIn(gradle, `gradle-${version}`)))
  const jar = 'gradle/wrapper/gradle-wrapper.jar'
  const wrapper = {
    gradlew: await readFile(join(project, 'gradlew'), 'utf8'),
    [jar]: await readFile(join(project, jar)),
  }
  return { version, zip, wrapper, volumes }
}

async function run(args: readonly string[]): Promise<void> {
  const { code, output } = await bale(args)
  if (code !== 0) throw new Error(output)
}

/** The wrapper makes the directories that have an entry, and no others. */
async function entriesIn(dir: string, name: string): Promise<ZipEntry[]> {
  const entries: ZipEntry[] = [{ name: `${name}/` }]
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    const [path, below] = [join(dir, entry.name), `${name}/${entry.name}`]
    if (entry.isDirectory()) entries.push(...(await entriesIn(path, below)))
    else entries.push({ name: below, content: await readFile(path), mode: (await stat(path)).mode })
  }
  return entries
}
