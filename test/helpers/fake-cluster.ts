import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Step, steps } from '../../lifecycle/platform/kubernetes/cluster-build.ts'
import { bytesOf } from './images.ts'

/** A container's behaviour: the lines that it prints, and its exit status. */
export interface FakeContainer {
  readonly lines?: readonly string[]
  readonly exitCode?: number
  /** How long it ran, as the node reports. */
  readonly seconds?: number
  readonly reason?: string
  readonly message?: string
  /** It runs until the Job is deleted. */
  readonly runs?: true
  /** The connection of its log breaks after so many lines, once. */
  readonly breaksAfter?: number
}

export interface FakeClusterOptions {
  readonly containers?: Readonly<Partial<Record<Step, FakeContainer>>>
  /** Changes the pod in the API's answer. `undefined`: there is no pod. */
  readonly pod?: (pod: object) => object | undefined
  readonly jobStatus?: object
  readonly events?: readonly object[]
  /** Objects of other kinds, by their resource: `deployments`. Labels of a selector are taken as `name=value`. */
  readonly workloads?: Readonly<Record<string, readonly { metadata: { labels?: Readonly<Record<string, string>> } }[]>>
  /** Answers instead of the cluster: a status and the message of its Status object. */
  readonly refuse?: (method: string, path: string, query: URLSearchParams) => readonly [number, string] | undefined
}

export interface FakeCluster extends AsyncDisposable {
  /** KUBECONFIG. */
  readonly kubeconfig: string
  readonly server: string
  /** `POST /apis/batch/v1/namespaces/builds/jobs`, one for each request. */
  readonly requests: string[]
  /** Created objects by kind, without dry runs. */
  readonly created: { readonly kind: string; readonly [key: string]: unknown }[]
  /** Names of the existing objects. */
  readonly objects: Set<string>
}

/** The API of a cluster in this process, with a node that does what the options say. Deleting a Job deletes its pod and Secret. */
export async function startFakeCluster(options: FakeClusterOptions = {}): Promise<FakeCluster> {
  const { containers = {}, pod: change = pod => pod, jobStatus = {}, events = [], workloads = {}, refuse } = options
  const requests: string[] = []
  const created: FakeCluster['created'] = []
  const objects = new Set<string>()
  const read = new Map<string, number>()
  let job = ''
  const open = new Set<ServerResponse>()

  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => response.destroy(error as Error))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  /** A container has run when its log was read. */
  const states = () => {
    const at = steps.findIndex(step => containers[step]?.runs || !read.has(step))
    const failed = steps.findIndex(step => read.has(step) && (containers[step]?.exitCode ?? 0) !== 0)
    return steps.map((name, i) => {
      const container = containers[name] ?? {}
      const { exitCode = 0, reason = exitCode === 0 ? 'Completed' : 'Error', message, seconds = 0 } = container
      const times = {
        startedAt: '2026-01-01T00:00:00Z',
        finishedAt: new Date(Date.UTC(2026, 0, 1, 0, 0, seconds)).toJSON(),
      }
      if (failed >= 0 && i > failed) return { name, state: { waiting: { reason: 'PodInitializing' } } }
      if (read.has(name) && !containers[name]?.runs)
        return { name, state: { terminated: { exitCode, reason, message, ...times } } }
      return { name, state: i === at ? { running: {} } : { waiting: { reason: 'PodInitializing' } } }
    })
  }
  const podNow = (): object[] => {
    if (!objects.has(`jobs/${job}`)) return []
    const all = states()
    const status = { phase: 'Pending', initContainerStatuses: all.slice(0, -1), containerStatuses: all.slice(-1) }
    return [change({ metadata: { name: `${job}-x` }, spec: { nodeName: 'node' }, status })].filter(p => p !== undefined)
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', address)
    const method = request.method ?? ''
    const dryRun = url.searchParams.has('dryRun')
    requests.push(`${method} ${url.pathname}${dryRun ? ' dry' : ''}`)
    const send = (status: number, body: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    }
    const refused = refuse?.(method, url.pathname, url.searchParams)
    if (refused !== undefined) return send(refused[0], { kind: 'Status', message: refused[1], code: refused[0] })
    const [, kind = '', name, sub] = /\/namespaces\/[^/]+\/(\w+)(?:\/([^/]+))?(?:\/(\w+))?$/.exec(url.pathname) ?? []
    if (method === 'POST') {
      const body = JSON.parse((await bytesOf(request)).toString()) as FakeCluster['created'][number]
      const { name: own } = body['metadata'] as { name: string }
      if (!dryRun) {
        created.push(body)
        objects.add(`${kind}/${own}`)
        if (kind === 'jobs') job = own
      }
      return send(201, { ...body, metadata: { name: own, uid: 'uid-of-the-job' } })
    }
    if (method === 'DELETE') {
      const had = objects.delete(`${kind}/${name}`)
      if (kind === 'jobs') {
        objects.delete(`secrets/${name}`)
        for (const one of open) one.end()
      }
      return send(had ? 200 : 404, { kind: 'Status', message: had ? '' : `${kind} "${name}" not found` })
    }
    if (kind === 'pods' && sub === 'log') return log(url.searchParams, response)
    if (kind === 'pods') return send(200, { items: podNow() })
    if (/^(deployments|statefulsets|daemonsets|cronjobs)$/.test(kind)) {
      const [label = '', value] = (url.searchParams.get('labelSelector') ?? '').split('=')
      const items = (workloads[kind] ?? []).filter(o => label === '' || o.metadata.labels?.[label] === value)
      return send(200, { items })
    }
    if (kind === 'events') return send(200, { items: events })
    if (!objects.has(`jobs/${name}`)) return send(404, { kind: 'Status', message: `jobs "${name}" not found` })
    send(200, { metadata: { name, uid: 'uid-of-the-job' }, status: jobStatus })
  }

  function log(query: URLSearchParams, response: ServerResponse): void {
    const step = query.get('container') as Step
    const { lines = [], runs, breaksAfter } = containers[step] ?? {}
    const since = query.get('sinceTime') ?? ''
    const stamped = lines.map((line, i) => ({
      at: `2026-01-01T00:00:0${Math.min(9, i)}.${String(i).padStart(9, '0')}Z`,
      line,
    }))
    const wanted = stamped.filter(({ at }) => at.slice(0, 19) >= since.slice(0, 19))
    const isBroken = breaksAfter !== undefined && !read.has(`${step} broke`)
    response.writeHead(200)
    for (const { at, line } of isBroken ? wanted.slice(0, breaksAfter) : wanted) response.write(`${at} ${line}\n`)
    if (isBroken) {
      read.set(`${step} broke`, 1)
      response.write('2026-01-01T00:00:09.1Z half of a li', () => response.socket?.destroy())
      return
    }
    read.set(step, 1)
    if (runs !== true) return void response.end()
    open.add(response)
    response.on('close', () => open.delete(response))
  }

  const dir = await mkdtemp(join(tmpdir(), 'bale-fake-cluster-'))
  const kubeconfig = join(dir, 'kubeconfig')
  await writeFile(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'fake',
      clusters: [{ name: 'fake', cluster: { server: address, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'me', user: { token: 'token-of-the-cluster' } }],
      contexts: [{ name: 'fake', context: { cluster: 'fake', user: 'me', namespace: 'builds' } }],
    }),
  )
  return {
    kubeconfig,
    server: address,
    requests,
    created,
    objects,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise<void>(done => server.close(() => done()))
      await rm(dir, { recursive: true, force: true })
    },
  }
}
