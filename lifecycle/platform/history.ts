import { createHash } from 'node:crypto'
import { mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { isErrno } from '../errors.ts'
import { withLock } from '../files/lock.ts'
import { ownDirectory, requireOwn } from '../files/own-directory.ts'
import { stageFile } from '../files/staged.ts'
import { wrapErrno } from '../files/wrap-errno.ts'

// The results of builds on this machine: a few for each app, in the data directory. Nothing depends on them: a damaged record is
// ignored.

/** The kinds of layers that users care about. Other layers follow from these. */
export const layerKinds = ['app', 'buildpack', 'launcher'] as const

const recordSchema = v.object({
  /** Counts the builds of an app, from 1. */
  build: v.pipe(v.number(), v.integer(), v.minValue(1)),
  /** When it began: ISO 8601, UTC. */
  time: v.string(),
  /** Its name in full: `index.docker.io/library/hello:latest`, `oci:out:latest`. */
  image: v.string(),
  result: v.picklist(['built', 'failed', 'cancelled']),
  digest: v.optional(v.string()),
  milliseconds: v.number(),
  buildpacks: v.array(v.object({ id: v.string(), version: v.string() })),
  /** The diffID of the run image's top layer. */
  runImage: v.optional(v.string()),
  /** The layers of application, buildpacks and launcher; `made` are those that no earlier image had. */
  layers: v.array(v.object({ name: v.string(), kind: v.picklist(layerKinds), diffId: v.string(), made: v.boolean() })),
  /** The differences from the last build that made an image. */
  changed: v.array(v.string()),
  error: v.optional(v.object({ code: v.string(), message: v.string() })),
})
export type BuildRecord = Readonly<v.InferOutput<typeof recordSchema>>
/** The part of a record that one build knows. */
export type BuildFacts = Omit<BuildRecord, 'build' | 'changed'>

const fileSchema = v.object({ app: v.string(), builds: v.array(recordSchema) })
type AppHistory = v.InferOutput<typeof fileSchema>

/** The numbers to keep: builds of an app, builds with output, and apps. */
export const kept = { builds: 30, logs: 5, apps: 100 } as const

export class BuildHistory {
  readonly #dataDir: string
  readonly #dir: string

  constructor(dataDir: string) {
    this.#dataDir = dataDir
    this.#dir = join(dataDir, 'history')
  }

  /**
   * Adds a build, and forgets the oldest.
   * @param app the common name of the builds: `appOf`
   * @param log the output of the build
   * @throws BaleError 'filesystem' if the record cannot be written
   */
  async add(app: string, facts: BuildFacts, log: string): Promise<BuildRecord> {
    // The output may contain private names and messages, so only this user may read it.
    await ownDirectory(this.#dataDir, 'XDG_DATA_HOME')
    await wrapErrno(this.#dir, () => mkdir(this.#dir, { recursive: true, mode: 0o700 }))
    return withLock(join(this.#dir, 'lock'), async () => {
      const { builds } = await this.#read(keyOf(app))
      const build = (builds.at(-1)?.build ?? 0) + 1
      const before = builds.findLast(({ result }) => result === 'built')
      const record = { ...facts, build, changed: facts.result === 'built' ? changesSince(before, facts) : [] }
      const all = [...builds, record].slice(-kept.builds)
      await wrapErrno(this.#dir, () => writeFile(this.#log(app, build), log, { mode: 0o600 }))
      await using staged = await stageFile(this.#dir)
      await staged.write(Buffer.from(JSON.stringify({ app, builds: all } satisfies AppHistory)))
      await staged.commit(join(this.#dir, `${keyOf(app)}.json`))
      await this.#forget()
      return record
    })
  }

  /** The builds of an app, or of all, the last one first. */
  async list(app?: string): Promise<BuildRecord[]> {
    await requireOwn(this.#dataDir, 'XDG_DATA_HOME')
    const keys = app === undefined ? await this.#keys() : [keyOf(app)]
    const found = await Promise.all(keys.map(async key => (await this.#read(key)).builds))
    return found.flat().sort((a, b) => (a.time < b.time ? 1 : -1) || b.build - a.build)
  }

  /** Returns the output of a build. Undefined if it is no longer kept. */
  async log(app: string, build: number): Promise<string | undefined> {
    await requireOwn(this.#dataDir, 'XDG_DATA_HOME')
    return readFile(this.#log(app, build), 'utf8').catch((error: unknown) => {
      if (isErrno(error, 'ENOENT')) return undefined
      throw error
    })
  }

  #log(app: string, build: number): string {
    return join(this.#dir, `${keyOf(app)}.${build}.log`)
  }

  async #keys(): Promise<string[]> {
    const names = await readdir(this.#dir).catch((error: unknown) => {
      if (isErrno(error, 'ENOENT')) return []
      throw error
    })
    return names.flatMap(name => /^([0-9a-f]{64})\.json$/.exec(name)?.[1] ?? [])
  }

  async #read(key: string): Promise<AppHistory> {
    const none = { app: '', builds: [] }
    const text = await readFile(join(this.#dir, `${key}.json`), 'utf8').catch((error: unknown) => {
      if (isErrno(error, 'ENOENT')) return undefined
      throw error
    })
    if (text === undefined) return none
    try {
      return v.parse(fileSchema, JSON.parse(text))
    } catch {
      return none
    }
  }

  /** Removes the output of all but the last builds of each app, and the apps whose last build is the oldest. */
  async #forget(): Promise<void> {
    const keys = await this.#keys()
    const dated = await Promise.all(
      keys.map(async key => ({ key, time: (await stat(join(this.#dir, `${key}.json`))).mtimeMs })),
    )
    const gone = dated.sort((a, b) => b.time - a.time).slice(kept.apps)
    for (const { key } of gone) await rm(join(this.#dir, `${key}.json`), { force: true })
    const logs = new Map<string, number[]>()
    for (const name of await readdir(this.#dir)) {
      const [, key = '', build] = /^([0-9a-f]{64})\.(\d+)\.log$/.exec(name) ?? []
      if (build !== undefined) logs.set(key, [...(logs.get(key) ?? []), Number(build)])
    }
    const lost = new Set(gone.map(({ key }) => key))
    for (const [key, builds] of logs) {
      const old = builds.sort((a, b) => b - a).slice(lost.has(key) ? 0 : kept.logs)
      for (const build of old) await rm(join(this.#dir, `${key}.${build}.log`), { force: true })
    }
  }
}

const keyOf = (app: string): string => createHash('sha256').update(app).digest('hex')

/** Describes the differences between a build and the previous one. */
export function changesSince(before: BuildFacts | undefined, now: BuildFacts): string[] {
  if (before === undefined) return ['first build']
  const was = new Map(before.buildpacks.map(({ id, version }) => [id, version]))
  const is = new Map(now.buildpacks.map(({ id, version }) => [id, version]))
  const buildpacks = [...new Set([...was.keys(), ...is.keys()])].flatMap(id => {
    const [old, own] = [was.get(id), is.get(id)]
    if (old === own) return []
    if (old === undefined) return [`buildpack ${id} is new`]
    return own === undefined ? [`buildpack ${id} is removed`] : [`buildpack ${id} ${old} → ${own}`]
  })
  const changes = [
    ...(before.runImage === now.runImage ? [] : ['run image']),
    ...buildpacks,
    ...layerChanges(before.layers, now.layers),
  ]
  if (changes.length > 0) return changes
  return before.digest === now.digest ? ['nothing'] : ['settings']
}

type Layers = BuildFacts['layers']

function layerChanges(before: Layers, now: Layers): string[] {
  const titleOf = ({ kind, name }: Layers[number]): string =>
    kind === 'app' ? 'application' : kind === 'launcher' ? 'launcher' : `layer ${name}`
  const was = new Map(before.map(layer => [layer.name, layer]))
  const is = new Map(now.map(layer => [layer.name, layer]))
  const changed = now.filter(({ name, diffId }) => was.get(name)?.diffId !== diffId).map(titleOf)
  // The application's files may be in fewer slices than before.
  const gone = before.filter(({ name }) => !is.has(name))
  const titles = gone.map(layer => (layer.kind === 'app' ? titleOf(layer) : `${titleOf(layer)} is removed`))
  return [...new Set([...changed, ...titles])]
}
