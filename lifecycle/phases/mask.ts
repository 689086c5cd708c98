import { Buffer } from 'node:buffer'
import { BaleError } from '../errors.ts'
import type { BuildEvent, Reporter } from '../events.ts'

/** A value that no message may show. */
export interface Confidential {
  readonly id: string
  readonly value: Uint8Array
}

/** Bytes. A shorter value appears in every log and file by chance. */
const shortest = 6

/** The forms of a secret: unchanged, line by line, and as tools encode it. Longer ones first: masking a part would leave the rest. */
export function formsOf({ value }: Confidential): string[] {
  const lines = textOf(value)
    .split(/\r?\n/)
    .map(line => line.trim())
    .filter(line => !/^-----/.test(line))
  return usable([...wholeFormsOf(value), ...lines])
}

/** The same without single lines. */
export function wholeFormsOf(value: Uint8Array): string[] {
  const text = textOf(value)
  const encoded = [text, text.trim()].flatMap(form => {
    const bytes = Buffer.from(form, 'latin1')
    const json = JSON.stringify(bytes.toString('utf8')).slice(1, -1)
    return [bytes.toString('base64'), bytes.toString('base64url'), bytes.toString('hex'), json].concat(
      encodeURIComponent(bytes.toString('utf8').replaceAll('\ufffd', '')),
    )
  })
  // base64 of a text with the secret at its end or start differs in the last characters only.
  const trimmed = encoded.map(form => form.replace(/=+$/, ''))
  return usable([text, text.trim(), ...encoded, ...trimmed])
}

const textOf = (value: Uint8Array): string => Buffer.from(value).toString('latin1')

const usable = (forms: readonly string[]): string[] =>
  [...new Set(forms.filter(form => form.length >= shortest))].sort((a, b) => b.length - a.length)

/** One form of a confidential value. */
export interface Form {
  readonly id: string
  readonly bytes: Buffer
  readonly utf8: string
}

/** @param text a result of `formsOf`: one character for each byte */
export function formOf(id: string, text: string): Form {
  const bytes = Buffer.from(text, 'latin1')
  return { id, bytes, utf8: bytes.toString('utf8') }
}

/** Hides confidential values in messages. */
export class Mask {
  readonly #secrets: readonly Confidential[]
  protected readonly forms: Form[]

  constructor(secrets: readonly Confidential[]) {
    this.#secrets = secrets
    this.forms = secrets.flatMap(secret => formsOf(secret).map(text => formOf(secret.id, text)))
  }

  /** Returns a mask that hides the values of both. */
  and(other: Mask): Mask {
    return new Mask([...this.#secrets, ...other.#secrets])
  }

  /** Hides these, too, from now on. */
  learn(forms: readonly Form[]): void {
    this.forms.push(...forms)
    this.forms.sort((a, b) => b.bytes.length - a.bytes.length) // masking a part would leave the rest
  }

  mask(text: string): string {
    return this.forms.reduce((masked, { utf8 }) => masked.replaceAll(utf8, '***'), text)
  }

  /** Masks every text of every event. */
  masked(reporter: Reporter): Reporter {
    return {
      event: event => reporter.event(this.maskEvent(event)),
      drained: () => reporter.drained?.(),
      close: () => reporter.close(),
    }
  }

  maskEvent(event: BuildEvent): BuildEvent {
    return this.forms.length === 0 ? event : (this.maskAll(event) as BuildEvent)
  }

  /** A copy of the value with every text in it masked. */
  maskAll(value: unknown): unknown {
    if (typeof value === 'string') return this.mask(value)
    if (Array.isArray(value)) return value.map(item => this.maskAll(item))
    if (typeof value !== 'object' || value === null || value instanceof Date) return value
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, this.maskAll(item)]))
  }

  /** Masks the message of an error in place, since the error's identity tells the phase that it came from. */
  maskError(error: unknown): unknown {
    if (!(error instanceof BaleError)) return error
    const { message, where, fix } = error
    const mask = (text: string | undefined) => (text === undefined ? undefined : this.mask(text))
    return Object.assign(error, { message: this.mask(message), where: mask(where), fix: mask(fix) })
  }
}
