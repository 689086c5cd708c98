import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError } from '../errors.ts'
import { wrapErrno } from '../files/wrap-errno.ts'
import type { Reporter } from '../events.ts'
import type { BuildOutput } from './export.ts'
import { Mask, formsOf } from './mask.ts'
import type { SearchedSettings } from './search-output.ts'

/** A secret that buildpacks may read, as a binding: `<platform>/bindings/<id>/<key>` (platform.md, "Bindings"). */
export interface BuildSecret {
  readonly id: string
  /** The binding's type, by which buildpacks find it. */
  readonly type: string
  readonly key: string
  readonly value: Uint8Array
}

const idForm = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/
/** The rule of Kubernetes for keys of a Secret: `.npmrc` is valid, a name that starts with two dots is not. */
const keyForm = /^(?!\.\.|\.$)[A-Za-z0-9_.-]{1,128}$/

/** The secrets of a build: their bindings, a mask for messages, and a search in the output. */
export class BuildSecrets extends Mask {
  readonly #secrets: readonly BuildSecret[]

  /**
   * @param where the option that names them, for errors
   * @throws BaleError 'arguments' for an id or key that is not a valid file name, and for repeated ids
   */
  constructor(secrets: readonly BuildSecret[], where = '--secret') {
    const ids = new Set<string>()
    for (const { id, key } of secrets) {
      const wrong = !idForm.test(id) ? id : !keyForm.test(key) ? key : undefined
      if (wrong !== undefined)
        throw new BaleError('arguments', `${JSON.stringify(wrong)} cannot be the name of a file`, {
          where,
          fix: 'use letters, digits, and _ . - for the id and the key; an id does not start with . or -',
        })
      if (ids.has(`${id}/${key}`)) throw new BaleError('arguments', `the secret ${id} is given twice`, { where })
      ids.add(`${id}/${key}`)
    }
    super(secrets)
    this.#secrets = secrets
  }

  /** Warns about secrets that are too short to search for. */
  warnOfShort(reporter: Pick<Reporter, 'event'>): void {
    for (const secret of this.#secrets) {
      if (formsOf(secret).length > 0) continue
      reporter.event({
        type: 'warning',
        text: `the secret ${secret.id} is too short to mask it in the output, or to search for it`,
      })
    }
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

  /**
   * Searches everything that a build leaves: see `searchOutput`.
   * @throws BaleError 'input' with the place
   */
  async refuseIn(output: BuildOutput, settings: SearchedSettings, signal?: AbortSignal): Promise<void> {
    if (this.forms.length === 0) return
    const search = { forms: this.forms, found: (id: string, where: string) => heldSecret(id, this.mask(where)) }
    // Loaded on use: most builds have no secrets, and it loads the decompressors.
    const { searchOutput } = await import('./search-output.ts')
    await searchOutput(output, settings, search, signal)
  }
}

function heldSecret(id: string, where: string): BaleError {
  return new BaleError('input', `it contains the secret ${id}, so the image is not published`, {
    where,
    fix: 'read the secret from its binding during the build, and do not write it to launch or cache layers, labels or files of the app',
  })
}
