import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import * as v from 'valibot'
import { BaleError } from '../../errors.ts'
import type * as library from './kubernetes-client.ts'
import type { Env } from '../../stores/settings.ts'
import type { ClusterObject } from './manifests.ts'
import { status as refusal } from './objects.ts'
import { type ClusterPlace, parsePlace } from './place.ts'

type Library = typeof library
type Config = InstanceType<Library['KubeConfig']>

/** A refusal of the API, with its status. */
export class Refused extends BaleError {
  readonly status: number

  constructor(status: number, message: string, where: string, fix: string) {
    super('cluster', message, { where, fix })
    this.status = status
  }
}

export interface ApiCall {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  /** `/apis/batch/v1/…`; the server's address comes from the kubeconfig. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly signal?: AbortSignal | undefined
}

/** The time limit for a request that receives no data. */
const idle = 30_000
/** How long a running build tolerates that the cluster does not answer. */
const patienceOfBuilds = 60_000

/** API groups of kinds outside of the core group. */
const groups: Readonly<Record<string, string>> = {
  ...{ jobs: '/apis/batch/v1', cronjobs: '/apis/batch/v1' },
  ...{ deployments: '/apis/apps/v1', statefulsets: '/apis/apps/v1', daemonsets: '/apis/apps/v1' },
}

/** The API of a cluster, for one namespace. */
export class ClusterApi {
  readonly context: string
  readonly namespace: string
  readonly #library: Library
  readonly #config: Config
  readonly #server: string

  private constructor(library: Library, config: Config, namespace: string | undefined) {
    this.#library = library
    this.#config = config
    this.context = config.getCurrentContext()
    this.namespace = namespace ?? config.getContextObject(this.context)?.namespace ?? 'default'
    this.#server = config.getCurrentCluster()?.server ?? ''
  }

  /**
   * Opens the cluster of a kubeconfig: the one in KUBECONFIG, the user's, or a pod's own.
   * @param on the value of `--on`, or its parts
   * @throws BaleError 'cluster' if there is no kubeconfig, or no such context
   */
  static async open(on: string | ClusterPlace, env: Env): Promise<ClusterApi> {
    const library = await import('./kubernetes-client.ts')
    const config = readConfig(library, env)
    const contexts = config.getContexts().map(({ name }) => name)
    const place = typeof on === 'string' ? parsePlace(on, contexts) : on
    if (place.context !== undefined) {
      if (!contexts.includes(place.context))
        throw new BaleError('cluster', `the kubeconfig has no context ${JSON.stringify(place.context)}`, {
          where: '--on',
          fix: `use one of: ${contexts.join(', ')}`,
        })
      config.setCurrentContext(place.context)
    }
    if (config.getCurrentCluster() === null)
      throw new BaleError('cluster', 'the kubeconfig has no current context', {
        where: '--on',
        fix: contexts.length === 0 ? 'add a cluster to it' : `name one: --on kubernetes:${contexts[0]}`,
      })
    return new ClusterApi(library, config, place.namespace)
  }

  /** The path of the objects of a kind in the namespace: `jobs`, `pods`, `deployments`. */
  pathOf(resource: string, name?: string): string {
    const group = groups[resource] ?? '/api/v1'
    return `${group}/namespaces/${this.namespace}/${resource}${name === undefined ? '' : `/${name}`}`
  }

  create(resource: string, body: ClusterObject, options: { dryRun?: boolean; signal?: AbortSignal | undefined } = {}) {
    const { dryRun = false, signal } = options
    const query = { fieldManager: 'bale', ...(dryRun && { dryRun: 'All' }) }
    return this.#json({ method: 'POST', path: this.pathOf(resource), query, body, signal })
  }

  /**
   * Reads an object, parsed by the schema. Retries while the server does not answer.
   * @param patience milliseconds; by default the limit for a running build
   */
  async read<T>(
    schema: v.GenericSchema<unknown, T>,
    call: Omit<ApiCall, 'method' | 'body'>,
    patience = patienceOfBuilds,
  ): Promise<T> {
    const deadline = Date.now() + patience
    for (let pause = 250; ; pause = Math.min(2 * pause, 4000)) {
      try {
        return v.parse(schema, await this.#json(call))
      } catch (error) {
        call.signal?.throwIfAborted()
        if (error instanceof v.ValiError)
          throw new BaleError('cluster', `its answer has an unexpected form: ${error.message}`, {
            where: `GET ${this.#server}${call.path}`,
            fix: 'check that the address in the kubeconfig belongs to a Kubernetes API',
          })
        const passes =
          error instanceof Refused ? error.status === 429 || error.status >= 500 : error instanceof BaleError
        if (!passes || Date.now() + pause > deadline) throw error
        await setTimeout(pause, undefined, { signal: call.signal })
      }
    }
  }

  /** @returns whether the object existed */
  async delete(resource: string, name: string, body: object, signal?: AbortSignal): Promise<boolean> {
    try {
      await this.#json({ method: 'DELETE', path: this.pathOf(resource, name), body, signal })
      return true
    } catch (error) {
      if (error instanceof Refused && error.status === 404) return false
      throw error
    }
  }

  /** Yields the bytes of an answer as they arrive, for a followed log. */
  async *stream(call: Omit<ApiCall, 'method' | 'body'>): AsyncGenerator<Uint8Array> {
    const response = await this.#fetch(call, call.signal)
    if (response.body === null) return
    for await (const chunk of response.body) yield chunk as Uint8Array
  }

  async #json(call: ApiCall): Promise<unknown> {
    const timeout = AbortSignal.timeout(idle)
    const signal = call.signal === undefined ? timeout : AbortSignal.any([timeout, call.signal])
    const response = await this.#fetch(call, signal)
    try {
      return await response.json()
    } catch (cause) {
      call.signal?.throwIfAborted()
      throw this.#unreachable(call, cause)
    }
  }

  async #fetch(call: ApiCall, signal: AbortSignal | undefined) {
    const { method = 'GET', path, query = {}, body } = call
    const url = new URL(`${this.#server.replace(/\/$/, '')}${path}`)
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
    const request = new this.#library.RequestContext(url.href, this.#library.HttpMethod[method])
    let response
    try {
      await this.#config.applySecurityAuthentication(request)
      response = await this.#library.fetch(url.href, {
        method,
        headers: { ...request.getHeaders(), ...(body !== undefined && { 'content-type': 'application/json' }) },
        dispatcher: request.getDispatcher(),
        redirect: 'error',
        ...(body !== undefined && { body: JSON.stringify(body) }),
        ...(signal !== undefined && { signal }),
      })
    } catch (cause) {
      call.signal?.throwIfAborted()
      throw this.#unreachable(call, cause)
    }
    if (response.ok) return response
    throw this.#refused(call, response.status, await response.text().catch(() => ''))
  }

  #unreachable({ method = 'GET', path }: ApiCall, cause: unknown): BaleError {
    return new BaleError('cluster', `the cluster cannot be reached: ${wordsOf(cause)}`, {
      where: `${method} ${this.#server}${path}`,
      fix: `check with: kubectl --context ${this.context} get --raw /version`,
      cause,
    })
  }

  #refused({ method = 'GET', path }: ApiCall, status: number, body: string): Refused {
    let words = body.trim().split('\n', 1)[0]?.slice(0, 500) ?? ''
    try {
      words = v.parse(refusal, JSON.parse(body)).message ?? words
    } catch {
      // The answer is a proxy's own page, or empty.
    }
    const where = `${method} ${this.#server}${path}`
    return new Refused(
      status,
      `the cluster answered ${status}${words === '' ? '' : `: ${words}`}`,
      where,
      this.#fixOf(status, words),
    )
  }

  #fixOf(status: number, words: string): string {
    if (/exceeded quota/.test(words)) return quotaFix
    if (status === 401) return `log in again: kubectl --context ${this.context} get pods says how`
    if (status === 403) return 'allow this user to do that in the namespace: docs/kubernetes.md has the Role'
    if (status === 404) return `check the namespace: kubectl --context ${this.context} get namespace ${this.namespace}`
    if (status === 422 || status === 400) return 'correct the settings that it names'
    return 'try again later'
  }
}

export const quotaFix =
  'wait for other builds to end, raise the quota, or write smaller resources into the settings file'

function readConfig({ KubeConfig }: Library, env: Env): Config {
  const config = new KubeConfig()
  const named = (env['KUBECONFIG'] ?? '').split(delimiter).filter(path => path !== '')
  const own = join(env['HOME'] || homedir(), '.kube', 'config')
  const found = (named.length > 0 ? named : [own]).filter(path => existsSync(path))
  try {
    const [first, ...others] = found
    if (first !== undefined) {
      config.loadFromFile(first)
      for (const path of others) {
        const more = new KubeConfig()
        more.loadFromFile(path)
        config.mergeConfig(more)
      }
      return config
    }
    if (named.length === 0 && env['KUBERNETES_SERVICE_HOST'] !== undefined) {
      config.loadFromCluster()
      return config
    }
  } catch (cause) {
    throw new BaleError('cluster', `it cannot be used: ${(cause as Error).message}`, {
      where: found.join(delimiter) || 'the kubeconfig',
      fix: 'correct it: kubectl config view shows what it has',
      cause,
    })
  }
  throw new BaleError('cluster', 'there is no kubeconfig that names a cluster', {
    where: (named.length > 0 ? named : [own]).join(delimiter),
    fix: 'set KUBECONFIG to the kubeconfig file',
  })
}

/** The innermost cause: undici's own message is "fetch failed". */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'TimeoutError') return `it did not answer within ${idle / 1000} s`
  if (error instanceof AggregateError && error.errors.length > 0) return wordsOf(error.errors[0])
  return error.cause instanceof Error ? wordsOf(error.cause) : error.message
}
