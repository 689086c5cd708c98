import { readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type BuildContext, BuildpackError, keep, splitWords, firstSetting } from '../sdk/index.ts'
import { archiveTime } from './archive.ts'
import type { Artifact } from './artifact.ts'
import type { Jdk } from './jdk.ts'
import { copyDependencies, type Maven } from './maven-artifacts.ts'
import { proxyOptions } from './proxies.ts'

const toolsBuild = 'io.github.clojure:tools.build:0.10.14'

interface Tools {
  readonly jdk: Jdk
  readonly temp: string
  readonly openMaven: () => Promise<Maven>
}

/**
 * Builds an application of `deps.edn`. Its own build.clj makes an archive. Without build.clj, this compiles the namespace that starts.
 * @returns the class path of the compiled namespace; undefined if there is an archive
 */
export async function buildWithToolsDeps(context: BuildContext, tools: Tools): Promise<Artifact | undefined> {
  const { app, env, layer, log, run } = context
  const { jdk, temp } = tools
  const libraries = await provideToolsBuild(context, tools)
  const cache = await layer('clojure', {
    types: { cache: true },
    key: { home: 'deps' },
    restore: () => keep,
    create: async () => {},
  })
  const script = join(temp, 'build.clj')
  const result = join(temp, 'class-path')
  await writeFile(script, program)
  const setting = firstSetting(env, 'BP_CLJ_TOOLS_BUILD_ARGUMENTS')
  // A setting's alias may have its function in another file.
  const hasBuild = setting !== undefined || (await app.has('build.clj'))
  const [alias = '', task = ''] = taskOf(setting?.value)
  const java = join(jdk.home, 'bin/java')
  const options = [`-Duser.home=${cache.path}`, '-Dfile.encoding=UTF-8', ...proxyOptions(env)]
  const args = hasBuild ? ['own', alias, task, ...options] : ['classes', join(temp, 'classes'), result]
  const shown = hasBuild ? `clojure -T:${alias} ${task}` : 'tools.build'
  await log.step(`Running ${shown}`, () =>
    run([java, ...options, '-cp', `${libraries}/*`, 'clojure.main', script, ...args], {
      name: shown,
      env: { ...jdk.env, HOME: cache.path, GITLIBS: join(cache.path, 'gitlibs'), JAVA_CMD: java },
      fix: (stderr, stdout) => explain(stdout + stderr),
    }),
  )
  if (hasBuild) return undefined
  const paths = (await readFile(result, 'utf8')).split('\n').filter(Boolean)
  const jar = join(temp, 'application.jar')
  const create = ['--create', '--date', archiveTime, '--file', jar, '-C', join(temp, 'classes'), '.']
  await run([join(jdk.home, 'bin/jar'), ...create], { env: jdk.env, quiet: true, name: 'jar' })
  return {
    kind: 'class path',
    paths: [jar, ...paths.filter(path => basename(path).endsWith('.jar'))],
    main: 'bale.start',
  }
}

/** Splits `-T:build uber` into an alias of deps.edn and a function of its build.clj. */
function taskOf(arguments_: string | undefined): readonly [string, string] {
  if (arguments_ === undefined) return ['build', 'uber']
  const [alias, task, ...rest] = splitWords(arguments_, 'BP_CLJ_TOOLS_BUILD_ARGUMENTS')
  if (alias?.startsWith('-T:') === true && task !== undefined && rest.length === 0)
    return [alias.slice('-T:'.length), task]
  throw new BuildpackError(`${JSON.stringify(arguments_)} is not an alias and function`, {
    where: 'BP_CLJ_TOOLS_BUILD_ARGUMENTS',
    fix: 'write "-T:build uber"',
  })
}

async function provideToolsBuild({ layer }: BuildContext, { temp, openMaven }: Tools): Promise<string> {
  const { path } = await layer('tools-build', {
    title: `tools.build ${toolsBuild.replace(/.*:/, '')}`,
    types: { build: true, cache: true },
    key: { artifact: toolsBuild },
    create: async dir => copyDependencies(await openMaven(), toolsBuild, dir, temp),
  })
  return path
}

function explain(output: string): string | undefined {
  const fixes: readonly (readonly [RegExp, string])[] = [
    [
      /Could not (transfer|find) artifact|UnknownHost|Connection refused|Unable to clone|Error building classpath/,
      'check the network and the repositories, which are Maven Central and Clojars without :mvn/repos in deps.edn',
    ],
    [
      /Could not locate \S+ on classpath/,
      'add build.clj, or the file to :paths of the alias, or the library to its :deps; without build.clj leave BP_CLJ_TOOLS_BUILD_ARGUMENTS out',
    ],
  ]
  return fixes.find(([pattern]) => pattern.test(output))?.[1]
}

/** A program in terms of Clojure's own tools: a basis has the class path of deps.edn, with the libraries that an alias adds. */
const program = `(require '[clojure.tools.build.api :as b] '[clojure.edn :as edn] '[clojure.java.io :as io] '[clojure.string :as str])

(defn stop [message] (binding [*out* *err*] (println "Error:" message)) (System/exit 1))
(def deps (edn/read-string (slurp "deps.edn")))
(def aliases (:aliases deps))

(defn own [alias task & options]
  (let [{start :ns-default :as found} (get aliases (keyword alias))
        start (or start 'build)
        tools {'io.github.clojure/tools.build {:mvn/version "${toolsBuild.replace(/.*:/, '')}"}}
        ; As "clojure -T" has it: an alias adds to what replaces the application's own.
        project (-> deps (assoc :paths ["."] :deps {}) (assoc-in [:aliases ::tools] {:extra-deps tools}))]
    (when-not found (stop (str "deps.edn has no alias :" alias " with what build.clj needs")))
    (let [basis (b/create-basis {:project project :aliases [(keyword alias) ::tools]})
          command (concat [(System/getenv "JAVA_CMD")] options
                          ["-cp" (str/join ":" (:classpath-roots basis)) "clojure.main" "-e"
                           (str "((requiring-resolve '" start "/" task ") {})")])]
      (System/exit (:exit (b/process {:command-args command}))))))

; A keyword among paths is an alias with more of them.
(defn flat [paths] (mapcat #(if (keyword? %) (flat (get aliases %)) [%]) paths))

(defn namespace-of [file]
  (let [text (slurp file)]
    (when (re-find #"\\(defn\\s+(\\^\\S+\\s+)?-main\\b" text)
      (second (re-find #"\\(ns\\s+(?:\\^\\S+\\s+)*([^\\s()]+)" text)))))

(defn starts []
  (let [named (for [[alias {opts :main-opts}] aliases
                    [option value] (partition 2 1 opts) :when (= option "-m")] [value alias])
        found (for [path (flat (:paths deps ["src"])) file (file-seq (io/file path))
                    :when (re-find #"\\.cljc?$" (.getName file))
                    :let [name (namespace-of file)] :when name] [name nil])]
    (filter (fn [[name]] (some #(= name (first %)) found)) (or (seq named) found))))

(defn classes [dir file]
  (let [found (starts)
        names (distinct (map first found))
        [main alias] (first found)]
    (when (empty? names) (stop "no namespace below :paths has a function -main: add one, or build.clj with a function uber"))
    (when (next names) (stop (str "several namespaces have a function -main: " (str/join ", " (sort names)) ". Name one in :main-opts [\\"-m\\" …] of an alias")))
    (let [basis (b/create-basis {:project "deps.edn" :aliases (if alias [alias] [])})
          ; The first one of two files of the same name counts, and the last one that is copied.
          paths (reverse (filter #(.isDirectory (io/file %)) (:classpath-roots basis)))
          start (io/file dir "bale/start.clj")]
      (println "Compiling" main)
      (b/copy-dir {:src-dirs (vec paths) :target-dir dir})
      (io/make-parents start)
      (spit start (str "(ns bale.start (:gen-class) (:require [" main " :as application]))\\n(defn -main [& args] (apply application/-main args))\\n"))
      (b/compile-clj {:basis basis :class-dir dir :src-dirs [dir] :ns-compile '[bale.start]})
      (spit file (str/join "\\n" (:classpath-roots basis))))))

(let [[action & args] *command-line-args*]
  (apply (if (= action "own") own classes) args)
  (shutdown-agents))
`
