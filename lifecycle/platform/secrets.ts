import { Buffer } from 'node:buffer'
import { closeSync, readSync, readlinkSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { BaleError } from '../errors.ts'
import type { BuildEvent, Reporter } from '../events.ts'
import { printableName, toBytes } from '../files/byte-string.ts'
import { OpenDirectory } from '../files/open-directory.ts'
import { wrapErrno } from '../files/wrap-errno.ts'
import { walk } from '../layers/tree/walk.ts'
import type { BuildOutput } from '../phases/export.ts'
import { buildpackLayersDir, readLayers } from '../phases/layers-dir.ts'

/** A secret that buildpacks may read, as a binding: `<platform>/bindings/<id>/<key>` (platform.md, "Bindings"). */
export interface BuildSecret {
  readonly id: string
  /** The binding's type, by which buildpacks find it. */
  readonly type: string
  readonly key: string
  readonly value: Uint8Array
}

/** Bytes. What is shorter is in every log and file by chance. */
const shortest = 6

/** The forms in which a secret shows up: as it is, line by line, and as tools encode it. */
function formsOf({ value }: BuildSecret): string[] {
  const text = Buffer.from(value).toString('latin1')
  const lines = text.split(/\r?\n/).map(line => line.trim())
  const plain = [text, text.trim(), ...lines.filter(line => !/^-----/.test(line))]
  const encoded = [text, text.trim()].flatMap(form => {
    const bytes = Buffer.from(form, 'latin1')
    const json = JSON.stringify(bytes.toString('utf8')).slice(1, -1)
    return [bytes.toString('base64'), bytes.toString('base64url'), bytes.toString('hex'), json].concat(
      encodeURIComponent(bytes.toString('utf8').replaceAll('\ufffd', '')),
    )
  })
  // base64 of a text with the secret at its end or start differs in the last characters only.
  const trimmed = encoded.map(form => form.replace(/=+$/, ''))
  const all = [...plain, ...encoded, ...trimmed].filter(form => form.length >= shortest)
  // Longer forms first: masking a part of one would leave the rest.
  return [...new Set(all)].sort((a, b) => b.length - a.length)
}

/** The secrets of a build: their bindings, a mask for all that is said, and a search in all that is kept. */
export class BuildSecrets {
  readonly #secrets: readonly BuildSecret[]
  readonly #forms: readonly {
    readonly id: string
    readonly text: string
    readonly bytes: Buffer
    readonly utf8: string
  }[]

  /** @throws BaleError 'arguments' for an id or key that is no name of a file, and ids that are there twice */
  constructor(secrets: readonly BuildSecret[]) {
    const ids = new Set<string>()
    for (const { id, key } of secrets) {
      for (const name of [id, key]) {
        if (/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/.test(name)) continue
        throw new BaleError('arguments', `${JSON.stringify(name)} cannot be the name of a file`, {
          where: '--secret',
          fix: 'use letters, digits, and _ . - after the first',
        })
      }
      if (ids.has(`${id}/${key}`))
        throw new BaleError('arguments', `the secret ${id} is there twice`, { where: '--secret' })
      ids.add(`${id}/${key}`)
    }
    this.#secrets = secrets
    this.#forms = secrets.flatMap(secret =>
      formsOf(secret).map(text => {
        const bytes = Buffer.from(text, 'latin1')
        return { id: secret.id, text, bytes, utf8: bytes.toString('utf8') }
      }),
    )
  }

  /** Ids of secrets that are too short to be found anywhere. */
  get unguarded(): string[] {
    return this.#secrets.filter(secret => formsOf(secret).length === 0).map(({ id }) => id)
  }

  async writeBindings(platformDir: string): Promise<void> {
    for (const { id, type, key, value } of this.#secrets) {
      const dir = join(platformDir, 'bindings', id)
      await wrapErrno(dir, async () => {
        await mkdir(dir, { recursive: true })
        await writeFile(join(dir, 'type'), type)
        await writeFile(join(dir, key), value)
      })
    }
  }

  mask(text: string): string {
    return this.#forms.reduce((masked, { utf8 }) => masked.replaceAll(utf8, '***'), text)
  }

  /** Masks every text of every event. */
  masked(reporter: Reporter): Reporter {
    if (this.#forms.length === 0) return reporter
    return {
      event: event => reporter.event(this.maskAll(event) as BuildEvent),
      drained: () => reporter.drained?.(),
      close: () => reporter.close(),
    }
  }

  /** A copy of the value with every text in it masked. */
  maskAll(value: unknown): unknown {
    if (typeof value === 'string') return this.mask(value)
    if (Array.isArray(value)) return value.map(item => this.maskAll(item))
    if (typeof value !== 'object' || value === null || value instanceof Date) return value
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, this.maskAll(item)]))
  }

  /** Masks the message of an error, in place: which phase it came from is known by its identity. */
  maskError(error: unknown): unknown {
    if (!(error instanceof BaleError)) return error
    const { message, where, fix } = error
    const mask = (text: string | undefined) => (text === undefined ? undefined : this.mask(text))
    return Object.assign(error, { message: this.mask(message), where: mask(where), fix: mask(fix) })
  }

  /**
   * Searches what becomes of the image, the cache and the report: the app, layers for launch and for the cache, bills of
   * materials, labels and all other metadata. What is compressed or encrypted hides from it.
   * @throws BaleError 'input' with the place
   */
  async refuseIn({ layersDir, appDir, group }: BuildOutput, signal?: AbortSignal): Promise<void> {
    if (this.#forms.length === 0) return
    const dropped = new Set<string>()
    for (const { id } of group) {
      const base = buildpackLayersDir(layersDir.host, id).slice(layersDir.host.length + 1)
      for (const { name, types } of await readLayers(layersDir.host, id))
        if (!types.launch && !types.cache) dropped.add(`${base}/${name}`)
    }
    await this.#search(layersDir.host, layersDir.image, path => dropped.has(path), signal)
    await this.#search(appDir.host, appDir.image, () => false, signal)
  }

  async #search(host: string, shown: string, skip: (path: string) => boolean, signal?: AbortSignal): Promise<void> {
    const top = OpenDirectory.open(host)
    const longest = Math.max(...this.#forms.map(({ bytes }) => bytes.length))
    const buffer = Buffer.alloc(longest + (1 << 20))
    try {
      let seen = 0
      for (const { path, name, kind, parent } of walk(top, toBytes(host), found => skip(found.toString()))) {
        signal?.throwIfAborted()
        const where = `${shown}/${printableName(path)}`
        this.#refuse(Buffer.from(name, 'latin1'), where)
        if (kind === 'symlink') this.#refuse(readlinkSync(parent.path(name), { encoding: 'buffer' }), where)
        if (kind === 'file') this.#searchFile(parent.openFile(name), buffer, longest, where)
        if (++seen % 64 === 0) await setImmediate()
      }
    } finally {
      top.close()
    }
  }

  /** Reads a file piece by piece; pieces overlap by what a form may be cut at. */
  #searchFile(fd: number, buffer: Buffer, longest: number, where: string): void {
    try {
      for (let kept = 0; ;) {
        const read = readSync(fd, buffer, kept, buffer.length - kept, null)
        if (read === 0) return
        const filled = buffer.subarray(0, kept + read)
        this.#refuse(filled, where)
        kept = Math.min(longest - 1, filled.length)
        filled.copyWithin(0, filled.length - kept)
      }
    } finally {
      closeSync(fd)
    }
  }

  #refuse(bytes: Buffer, where: string): void {
    const found = this.#forms.find(form => bytes.includes(form.bytes))
    if (found === undefined) return
    throw new BaleError('input', `it holds the secret ${found.id}: nothing is published`, {
      where: this.mask(where),
      fix: 'read the secret from its binding while building, and write it into no layer for launch or for the cache, no label and no file of the app',
    })
  }
}
