import { existsSync, lstatSync, readdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { closable, realPaths, writableByUs } from '../../lifecycle/files/closable.ts'
import { formatToml } from '../../lifecycle/spec/toml.ts'
import type { LayerTypes } from '../../lifecycle/spec/types.ts'
import type { Runner } from './command.ts'
import type { Log } from './log.ts'

interface Finished {
  readonly name: string
  readonly path: string
  readonly types: LayerTypes
  /** The lstat results from when the first command started after the layer was finished. */
  facts?: ReadonlyMap<string, string>
}

/** More than a tick of any kernel's clock, in milliseconds: two changes within one tick have the same change time. */
const tick = 20

/**
 * Watches the layers that a buildpack has finished. An install script of a dependency could replace a program in one of them, and the
 * cache would keep it for later builds, even after the dependency is gone (X40). On Linux 6.2 or newer, Bale's lifecycle prevents later
 * commands from writing there. Elsewhere all programs run as one user, but no program can set a change time: a layer that has changed
 * at the end is not kept for a later build.
 */
export class Seals {
  #finished: readonly Finished[] = []

  /** `layer` is finished: its contents must not change any more in this build. */
  add(name: string, path: string, types: LayerTypes): void {
    this.#finished = [...this.#finished, { name, path, types }]
  }

  /** `layer` is about to be created again. */
  remove(layer: string): void {
    this.#finished = this.#finished.filter(({ name }) => name !== layer)
  }

  /** A runner that records the finished layers before it starts a program. */
  watch(runner: Runner): Runner {
    return async (command, onLine) => {
      await this.#close()
      const readOnly = this.#readOnly()
      return runner(readOnly.length === 0 ? command : { ...command, readOnly }, onLine)
    }
  }

  /** Drops every layer that was changed after it was finished: its TOML file says so, and the next build creates it again. */
  async check(log: Log): Promise<void> {
    for (const { name, path, types, facts } of this.#finished) {
      const changed = facts && firstDifference(facts, layerFacts(path))
      if (changed === undefined) continue
      await writeFile(`${path}.toml`, formatToml({ types: { ...types, cache: false }, metadata: {} }))
      log.warning(
        `the layer ${name} was changed after it was finished, at ${changed}, so later builds will not use it`,
        'find the command that does that; an install script of a dependency may have replaced a program',
      )
    }
  }

  /** The layers directory of the whole group is closed to all but this buildpack: programs must not create anything beside a layer. */
  #readOnly(): string[] {
    const paths = this.#finished.flatMap(({ path }) => [path, ...besides(path)]).filter(path => existsSync(path))
    return closable(
      paths.slice(0, 1).map(path => dirname(dirname(path))),
      writableByUs,
    ).length === 0
      ? []
      : realPaths(paths)
  }

  async #close(): Promise<void> {
    let fresh = false
    for (const layer of this.#finished.filter(({ facts }) => facts === undefined)) {
      layer.facts = layerFacts(layer.path)
      fresh = true
    }
    // A change by the command gets a later time than the recorded one.
    if (fresh) await sleep(tick)
  }
}

/** The files beside a layer that describe it: its TOML file and bills of materials. */
function besides(layer: string): string[] {
  const [dir, name] = [dirname(layer), basename(layer)]
  const isAbout = (entry: string): boolean => entry === `${name}.toml` || entry.startsWith(`${name}.sbom.`)
  return readdirSync(dir)
    .filter(isAbout)
    .map(entry => join(dir, entry))
}

function layerFacts(layer: string): ReadonlyMap<string, string> {
  const facts = new Map(factsOf(layer))
  for (const path of besides(layer)) {
    const { mode, size, ino, ctimeNs } = lstatSync(path, { bigint: true })
    facts.set(basename(path), `${mode} ${size} ${ino} ${ctimeNs}`)
  }
  return facts
}

/** For each entry below a directory: its lstat results, including those that no program can set back. */
function factsOf(dir: string): ReadonlyMap<string, string> {
  const facts = new Map<string, string>()
  const waiting = ['']
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    for (const entry of readdirSync(join(dir, path), { withFileTypes: true })) {
      const below = join(path, entry.name)
      const { mode, size, ino, ctimeNs } = lstatSync(join(dir, below), { bigint: true })
      const isDirectory = entry.isDirectory()
      // A directory changes with its entries, which are compared themselves.
      facts.set(below, isDirectory ? `directory ${mode}` : `${mode} ${size} ${ino} ${ctimeNs}`)
      if (isDirectory) waiting.push(below)
    }
  }
  return facts
}

function firstDifference(before: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): string | undefined {
  for (const [path, fact] of now) if (before.get(path) !== fact) return path
  for (const path of before.keys()) if (!now.has(path)) return path
  return undefined
}
