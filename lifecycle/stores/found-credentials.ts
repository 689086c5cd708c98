import type { Credentials } from './credentials.ts'
import type { Credential } from './credentials/credential.ts'

type Listener = (registry: string, credential: Credential) => void

/** Credentials that remember what was found, so that it can be hidden and searched for. */
export class FoundCredentials implements Credentials {
  readonly #from: Credentials
  readonly #found = new Map<string, { readonly registry: string; readonly credential: Credential }>()
  readonly #listeners: Listener[] = []

  constructor(from: Credentials) {
    this.#from = from
  }

  async find(name: string, signal?: AbortSignal): Promise<Credential | undefined> {
    const credential = await this.#from.find(name, signal)
    const [registry = name] = name.split('/')
    const key = JSON.stringify([registry, credential])
    if (credential === undefined || this.#found.has(key)) return credential
    this.#found.set(key, { registry, credential })
    for (const listener of this.#listeners) listener(registry, credential)
    return credential
  }

  /** Calls back for every credential that was found, and for every one that will be. */
  each(listener: Listener): void {
    this.#listeners.push(listener)
    for (const { registry, credential } of this.#found.values()) listener(registry, credential)
  }
}
