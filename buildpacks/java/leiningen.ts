import { join } from 'node:path'
import type { DebianArchive } from '../debian/archive.ts'
import { unpackPackages } from '../debian/unpack.ts'
import { type App, type BuildContext, BuildpackError, digestOf, firstSetting, keep, splitWords } from '../sdk/index.ts'
import type { Jdk } from './jdk.ts'
import { proxyOptions } from './proxies.ts'

/** Builds with Debian's Leiningen, a single archive with all of its dependencies. Downloads stay in a cache. */
export async function buildWithLeiningen(
  context: BuildContext,
  { archive, jdk }: { readonly archive: DebianArchive; readonly jdk: Jdk },
): Promise<void> {
  const { env, layer, log, run } = context
  const program = await provideLeiningen(context, archive)
  const cache = await layer('clojure', {
    types: { cache: true },
    key: { home: 'leiningen' },
    restore: () => keep,
    create: async () => {},
  })
  const setting = firstSetting(env, 'BP_LEIN_BUILD_ARGUMENTS', 'LEIN_BUILD_TASK')
  const tasks = setting === undefined ? await usualTasks(context.app) : splitWords(setting.value, setting.name)
  const java = join(jdk.home, 'bin/java')
  const options = [...splitWords(env['LEIN_JVM_OPTS'] ?? '', 'LEIN_JVM_OPTS'), ...proxyOptions(env)]
  const own = [`-Duser.home=${cache.path}`, '-Dfile.encoding=UTF-8', `-Dleiningen.script=${program}`]
  const shown = `lein ${tasks.join(' ')}`
  await log.step(`Running ${shown}`, () =>
    run([java, ...options, ...own, '-cp', program, 'clojure.main', '-m', 'leiningen.core.main', ...tasks], {
      name: shown,
      step: 'build',
      env: { ...jdk.env, HOME: cache.path, LEIN_HOME: join(cache.path, 'lein'), LEIN_JAVA_CMD: java, JAVA_CMD: java },
      fix: (stderr, stdout) => explain(stdout + stderr),
    }),
  )
}

/** The plugin lein-ring generates the main class of a handler, in tasks of its own. A project with a main class starts that one. */
async function usualTasks(app: App): Promise<string[]> {
  const text = (await app.read('project.clj')) ?? ''
  const project = text.replaceAll(/"(?:\\.|[^"\\])*"|;.*/g, part => (part.startsWith('"') ? '""' : ''))
  const isRing = /\blein-ring\b/.test(project) && /:ring\s*\{/.test(project)
  return isRing && !hasMain(project) ? ['ring', 'uberjar'] : ['uberjar']
}

/** Whether the project itself has `:main`: maps and vectors in it, such as those of profiles, may have others. */
function hasMain(project: string): boolean {
  const outer = project.replaceAll(/\{[^{}]*\}|\[[^[\]]*\]/g, '')
  return outer === project ? /:main(?!\s+(?:nil|false)\b)\s/.test(project) : hasMain(outer)
}

async function provideLeiningen({ layer, run }: BuildContext, archive: DebianArchive): Promise<string> {
  const packages = (await archive.resolve(['leiningen'])).filter(({ name }) => name === 'leiningen')
  const [found] = packages
  if (found === undefined) throw new BuildpackError('apt-get did not choose leiningen')
  const made = await layer('leiningen', {
    title: `Leiningen ${found.version.replace(/-.*/, '')}`,
    types: { build: true, cache: true },
    key: { 'Debian packages': digestOf(JSON.stringify(packages)) },
    create: async dir => unpackPackages(run, await archive.download(packages), dir),
  })
  return join(made.path, 'usr/share/java/leiningen.jar')
}

function explain(output: string): string | undefined {
  const fixes: readonly (readonly [RegExp, string])[] = [
    [
      /Could not (transfer|find) artifact|UnknownHost|Connection refused|could not be (resolved|transferred)/,
      'check the network and the repositories, which are Maven Central and Clojars without :mirrors or :repositories in project.clj',
    ],
    [/is not a task/, 'set BP_LEIN_BUILD_ARGUMENTS to the task that makes the archive'],
  ]
  return fixes.find(([pattern]) => pattern.test(output))?.[1]
}
