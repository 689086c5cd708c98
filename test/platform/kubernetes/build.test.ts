import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { formatEvent } from '../../../lifecycle/event-stream.ts'
import { BaleError, exitStatus } from '../../../lifecycle/errors.ts'
import { type BuildEvent, silent } from '../../../lifecycle/events.ts'
import { buildOnCluster } from '../../../lifecycle/platform/kubernetes/build.ts'
import { fetchSource } from '../../../lifecycle/platform/fetch-source.ts'
import { settings as machineSettings } from '../../../lifecycle/platform/settings.ts'
import { freePort } from '../../helpers/bale.ts'
import { type FakeCluster, type FakeClusterOptions, startFakeCluster } from '../../helpers/fake-cluster.ts'
import { type FakeRegistry, startRegistry } from '../../helpers/registry.ts'
import { writeTree } from '../../helpers/tree.ts'

// Tests against a fake cluster API in this process: the requests, the handling of answers, and the remaining objects.

const digest = `sha256:${'a'.repeat(64)}`
const report = `[image]\ntags = ["x"]\ndigest = "${digest}"\nmanifest-size = 5\n`
const done = { export: { message: report } } as const

interface Try {
  readonly cluster: FakeCluster
  readonly registry: FakeRegistry
  readonly events: BuildEvent[]
  readonly sources: () => string[]
  run(more?: object): Promise<Awaited<ReturnType<typeof buildOnCluster>>>
}

async function prepare(options: FakeClusterOptions = {}, deletes = true): Promise<Try> {
  const cluster = await startFakeCluster(options)
  const registry = await startRegistry({ deletes })
  const dir = await mkdtemp(join(tmpdir(), 'bale-test-on-'))
  onTestFinished(async () => {
    await cluster[Symbol.asyncDispose]()
    await registry.close()
    await rm(dir, { recursive: true })
  })
  const source = join(dir, 'source')
  await writeTree(source, { Procfile: 'web: true', ignored: 'x', '.dockerignore': 'ignored' })
  const auth = JSON.stringify({ [registry.host]: `Basic ${btoa('ann:hunter2')}`, 'other.test': 'Basic b3RoZXI6cHc=' })
  const env = { HOME: dir, KUBECONFIG: cluster.kubeconfig, CNB_REGISTRY_AUTH: auth }
  const events: BuildEvent[] = []
  return {
    cluster,
    registry,
    events,
    sources: () => [...registry.manifests.keys()].filter(key => key.includes('bale-source')),
    run: (more = {}) =>
      buildOnCluster(
        {
          image: `docker://${registry.host}/team/app:1`,
          settings: machineSettings(env),
          path: source,
          builder: 'r.test/builder',
          env: { A: 'b' },
          reporter: { event: event => void events.push(event), close: () => Promise.resolve() },
          ...more,
        },
        { on: 'kubernetes:fake' },
      ),
  }
}

const failing = async (run: Promise<unknown>): Promise<BaleError> => {
  const error = await run.then(
    () => 'it succeeded',
    (e: unknown) => e,
  )
  expect(error).toBeInstanceOf(BaleError)
  return error as BaleError
}

/** Bounded, so that what never comes is a failure. */
async function until(what: () => boolean): Promise<void> {
  for (const end = Date.now() + 15_000; !what(); await new Promise(r => setTimeout(r, 10)))
    if (Date.now() > end) throw new Error('it does not come about')
}

const nothingLeft = ({ cluster, sources }: Try) => {
  expect([...cluster.objects]).toEqual([])
  expect(sources()).toEqual([])
}

describe('a build on a cluster', () => {
  it('makes a Job and, owned by it, a Secret with what the build needs; returns the digest; leaves nothing', async () => {
    const t = await prepare({ containers: done })
    const result = await t.run()
    expect(result).toMatchObject({ digest, names: [`${t.registry.host}/team/app:1`] })
    const [job, secret] = t.cluster.created
    expect([job?.kind, secret?.kind]).toEqual(['Job', 'Secret'])
    expect(t.cluster.requests[0]).toBe('POST /apis/batch/v1/namespaces/builds/jobs dry')
    expect(secret).toMatchObject({
      metadata: { ownerReferences: [{ kind: 'Job', uid: 'uid-of-the-job' }] },
      stringData: {
        'registry-auth': JSON.stringify({ [`${t.registry.host}/team/app`]: `Basic ${btoa('ann:hunter2')}` }),
        variables: '{"A":"b"}',
      },
    })
    expect(JSON.stringify(job)).not.toMatch(/hunter2|YW5uOmh1bnRlcjI|token-of-the-cluster/)
    nothingLeft(t)
  })

  it('sends the source by way of the registry, as a build here takes it', async () => {
    const t = await prepare({ containers: { ...done, build: { runs: true } } })
    const abort = new AbortController()
    const building = failing(t.run({ signal: abort.signal }))
    await until(() => t.cluster.requests.some(r => r.endsWith('/log')))
    const text = JSON.stringify(t.cluster.created[0])
    const from = /docker:\/\/[^"]+@sha256:[0-9a-f]{64}/.exec(text)?.[0] ?? ''
    const dir = await mkdtemp(join(tmpdir(), 'bale-test-fetch-'))
    onTestFinished(() => rm(dir, { recursive: true }))
    const settings = machineSettings({ HOME: dir })
    const to = join(dir, 'workspace')
    const platformDir = join(dir, 'platform')
    const input = { from, to, platformDir, env: { A: 'b' }, settings, stdin: process.stdin, reporter: silent }
    await fetchSource(input, AbortSignal.timeout(20_000))
    expect((await readdir(to)).sort()).toEqual(['.dockerignore', 'Procfile'])
    expect(await readdir(join(platformDir, 'env'))).toEqual(['A'])
    expect(t.sources()).not.toEqual([])
    // As the container does it: nothing is left if nobody else is there to delete it.
    await fetchSource({ ...input, to: join(dir, 'again'), deleteImage: true }, AbortSignal.timeout(20_000))
    expect(t.sources()).toEqual([])
    abort.abort(new BaleError('cancelled', 'stopped'))
    await building
    nothingLeft(t)
  })

  it('hands secrets to the pod and to nothing else, and shows them nowhere', async () => {
    const secret = 'hunter3"\nof the team'
    const lines = [formatEvent({ type: 'output', stream: 'stdout', text: `token: ${secret}` }), 'plain of the team']
    const t = await prepare({ containers: { ...done, build: { lines } } })
    const value = Buffer.from(secret)
    await t.run({ secrets: [{ id: 'npm', type: 'npmrc', key: '.npmrc', value }], labels: { a: 'b' } })
    const [job, made] = t.cluster.created
    expect(made).toMatchObject({
      stringData: { 'secret-0-type': 'npmrc' },
      data: { 'secret-0': value.toString('base64') },
    })
    expect(JSON.stringify(job)).not.toContain('hunter3')
    expect(JSON.stringify(t.events)).not.toMatch(/hunter3|of the team/)
    expect(t.events).toContainEqual({ type: 'output', stream: 'stdout', text: 'plain ***' })
    expect(t.cluster.requests.slice(0, 2).every(r => r.endsWith(' dry'))).toBe(true)
    nothingLeft(t)
  })

  it('masks secrets in the error of a phase', async () => {
    const line = formatEvent({ type: 'failed', code: 'buildpack-failed', message: 'no hunter33', where: 'at hunter33' })
    const t = await prepare({ containers: { build: { lines: [line], exitCode: 51 } } })
    const secrets = [{ id: 'a', type: 't', key: 'k', value: Buffer.from('hunter33') }]
    expect(await failing(t.run({ secrets }))).toMatchObject({ message: 'no ***', where: 'at ***' })
  })

  it('reports what the phases report, in their order', async () => {
    const containers = {
      ...done,
      detect: { lines: [formatEvent({ type: 'note', level: 'info', text: 'hello' })] },
      build: { lines: ['plain text', formatEvent({ type: 'saved', names: ['forged'], size: 1 })] },
      export: {
        ...done.export,
        lines: [formatEvent({ type: 'saved', names: ['x'], digest, size: 1 })],
      },
    }
    const t = await prepare({ containers })
    await t.run()
    const phases = t.events.flatMap(e => (e.type === 'phase-started' ? [e.phase] : []))
    expect(phases).toEqual(['analyze', 'detect', 'restore', 'build', 'export'])
    expect(t.events).toContainEqual({ type: 'note', level: 'info', text: '  hello' })
    expect(t.events).toContainEqual({ type: 'output', stream: 'stdout', text: 'plain text' })
    // X41: a buildpack cannot say that an image was saved.
    expect(t.events.filter(e => e.type === 'saved').map(e => e.names)).toEqual([[`${t.registry.host}/team/app:1`]])
  })

  it('reads a log on where its connection broke: each line once', async () => {
    const lines = Array.from({ length: 8 }, (_, i) => `line ${i}`)
    const t = await prepare({ containers: { ...done, build: { lines, breaksAfter: 5 } } })
    await t.run()
    expect(t.events.flatMap(e => (e.type === 'output' ? [e.text] : []))).toEqual(lines)
  })

  it('gives a phase that was over before its log could be read the time that its node says', async () => {
    const t = await prepare({ containers: { ...done, build: { seconds: 42 } } })
    await t.run()
    const times = new Map(
      t.events.flatMap(e => (e.type === 'phase-finished' ? [[e.phase, e.milliseconds] as const] : [])),
    )
    expect(times.get('build')).toBe(42_000)
    expect(times.get('export')).toBeLessThan(20_000)
  })

  it.each(['source', 'analyze', 'build', 'export'] as const)('stopped in %s, deletes all that it made', async step => {
    const t = await prepare({ containers: { ...done, [step]: { runs: true } } })
    const abort = new AbortController()
    const building = failing(t.run({ signal: abort.signal }))
    const log = () => t.cluster.requests.filter(r => r.endsWith('/log')).length
    const order = ['source', 'analyze', 'detect', 'restore', 'build', 'export']
    await until(() => log() > order.indexOf(step))
    abort.abort(new BaleError('cancelled', 'stopped'))
    expect((await building).message).toBe('stopped')
    nothingLeft(t)
  })

  it('a registry that deletes nothing is warned of, with what is left there', async () => {
    const t = await prepare({ containers: done }, false)
    await t.run()
    const warning = t.events.find(e => e.type === 'warning')
    expect(warning).toMatchObject({
      text: expect.stringMatching(/remains in the registry as .*:bale-source-.*405/) as string,
    })
  })

  it('takes longer than it may: says so, and deletes all', async () => {
    const t = await prepare({ containers: { build: { runs: true } } })
    const error = await failing(t.run({ timeout: 4000 }))
    expect(error.message).toMatch(/took longer than 4 s/)
    nothingLeft(t)
  })
})

describe('a build on a cluster that fails', () => {
  const failure = (code: 'buildpack-failed' | 'registry') =>
    formatEvent({ type: 'failed', code, message: 'because', where: 'there', fix: 'do that' })

  it('in a buildpack, has the error and the status of a build here', async () => {
    const t = await prepare({ containers: { build: { lines: [failure('buildpack-failed')], exitCode: 51 } } })
    const error = await failing(t.run())
    expect(error).toMatchObject({ code: 'buildpack-failed', message: 'because' })
    expect(exitStatus(error)).toBe(51)
    nothingLeft(t)
  })

  it('in a trusted phase, has its error and its advice', async () => {
    const t = await prepare({ containers: { export: { lines: [failure('registry')], exitCode: 62 } } })
    const error = await failing(t.run())
    expect(error).toMatchObject({ code: 'registry', message: 'because', where: 'there', fix: 'do that' })
    expect(exitStatus(error)).toBe(62)
    nothingLeft(t)
  })

  it('for lack of memory', async () => {
    const t = await prepare({ containers: { build: { exitCode: 137, reason: 'OOMKilled' } } })
    expect(await failing(t.run())).toMatchObject({
      message: expect.stringMatching(/OOMKilled/) as string,
      fix: expect.stringMatching(/limits\.memory/) as string,
    })
    nothingLeft(t)
  })

  it('without a report, says that', async () => {
    const t = await prepare({})
    expect(await failing(t.run())).toMatchObject({ message: expect.stringMatching(/report/) as string })
    nothingLeft(t)
  })

  const waiting = (reason: string, message: string) => (pod: object) => ({
    ...pod,
    status: { initContainerStatuses: [{ name: 'source', state: { waiting: { reason, message } } }] },
  })
  const created = (message: string) => [{ reason: 'FailedCreate', message, involvedObject: { kind: 'Job', name: 'x' } }]
  const table: readonly (readonly [string, FakeClusterOptions, RegExp, RegExp])[] = [
    [
      'a quota',
      { pod: () => undefined, events: created('pods "x" is forbidden: exceeded quota: small, requested: cpu=1') },
      /does not create a pod: .*exceeded quota: small/,
      /raise the quota/,
    ],
    [
      'a rule of Pod Security',
      { pod: () => undefined, events: created('violates PodSecurity "restricted:latest"') },
      /violates PodSecurity/,
      /settings file/,
    ],
    [
      'a wrong pull secret',
      { pod: waiting('ErrImagePull', 'failed to authorize: 401 Unauthorized') },
      /cannot be pulled: ErrImagePull: .*401/,
      /imagePullSecrets/,
    ],
    [
      'an image that is not there',
      { pod: waiting('ErrImagePull', 'r.test/builder: not found') },
      /not found/,
      /--builder/,
    ],
    ['a name that is none', { pod: waiting('InvalidImageName', "couldn't parse image name") }, /InvalidImageName/, /./],
    [
      'eviction',
      { pod: pod => ({ ...pod, status: { phase: 'Failed', reason: 'Evicted', message: 'low on resource: memory' } }) },
      /evicted on node node: low on resource: memory/,
      /resources/,
    ],
    [
      'somebody who deletes the pod',
      { pod: pod => ({ ...pod, metadata: { name: 'p', deletionTimestamp: 'now' } }) },
      /the pod was deleted on node node by somebody else/,
      /build again/,
    ],
    [
      'a node that dies',
      {
        pod: pod => ({
          ...pod,
          status: {
            conditions: [
              {
                type: 'DisruptionTarget',
                status: 'True',
                reason: 'DeletionByTaintManager',
                message: 'Taint manager: deleting',
              },
            ],
          },
        }),
      },
      /node does not answer|the node of the pod on node node does not answer: Taint manager/,
      /kubectl describe node node/,
    ],
    [
      'a deadline',
      {
        jobStatus: {
          conditions: [{ type: 'Failed', status: 'True', reason: 'DeadlineExceeded', message: 'Job was active' }],
        },
      },
      /ended the build: Job was active/,
      /--timeout/,
    ],
    [
      'a claim that is not there',
      {
        pod: pod => ({
          ...pod,
          status: {
            conditions: [{ type: 'PodScheduled', status: 'False', message: 'persistentvolumeclaim "c" not found' }],
          },
        }),
      },
      /persistentvolumeclaim "c" not found/,
      /cache\.claim/,
    ],
    [
      'an image without bale',
      { containers: { source: { exitCode: 128, reason: 'StartError', message: 'exec: "bale": not found' } } },
      /could not start: exec: "bale"/,
      /builder image of Bale/,
    ],
  ]
  it.each(table)('by %s, has the cluster’s words and what to do', async (_what, options, message, fix) => {
    const t = await prepare(options)
    const error = await failing(t.run())
    expect(error).toMatchObject({ code: 'cluster' })
    expect(error.message).toMatch(message)
    expect(error.fix).toMatch(fix)
    nothingLeft(t)
  })

  it.each([
    [403, 'jobs.batch is forbidden: User "me" cannot create resource "jobs"', /Role/],
    [403, 'jobs.batch "x" is forbidden: exceeded quota: small', /raise the quota/],
    [401, 'Unauthorized', /log in again/],
    [404, 'namespaces "builds" not found', /check the namespace/],
  ])('when the API answers %d, sends nothing anywhere', async (status, words, fix) => {
    const t = await prepare({ refuse: method => (method === 'POST' ? [status, words] : undefined) })
    const error = await failing(t.run())
    expect(error.message).toBe(`the cluster answered ${status}: ${words}`)
    expect(error.fix).toMatch(fix)
    expect(t.registry.manifests.size).toBe(0)
  })

  it('when the Secret is refused, sends nothing anywhere', async () => {
    const t = await prepare({
      refuse: (method, path) => (method === 'POST' && path.endsWith('/secrets') ? [403, 'no secrets'] : undefined),
    })
    expect((await failing(t.run())).message).toMatch(/no secrets/)
    expect(t.cluster.created).toEqual([])
    expect(t.registry.manifests.size).toBe(0)
  })

  it('when the Secret is refused after the Job was made, deletes the Job', async () => {
    const t = await prepare({
      refuse: (method, path, query) =>
        method === 'POST' && path.endsWith('/secrets') && !query.has('dryRun') ? [403, 'no secrets'] : undefined,
    })
    expect((await failing(t.run())).message).toMatch(/no secrets/)
    expect(t.cluster.created.map(o => o.kind)).toEqual(['Job'])
    nothingLeft(t)
  })

  it('when nobody answers, names the server and how to check', async () => {
    const t = await prepare()
    const dir = await mkdtemp(join(tmpdir(), 'bale-test-gone-'))
    onTestFinished(() => rm(dir, { recursive: true }))
    const nobody = `http://127.0.0.1:${await freePort()}`
    const kubeconfig = join(dir, 'kubeconfig')
    const text = await readFile(t.cluster.kubeconfig, 'utf8')
    await writeFile(kubeconfig, text.replace(t.cluster.server, nobody))
    const settings = machineSettings({ HOME: dir, KUBECONFIG: kubeconfig })
    expect(await failing(t.run({ settings }))).toMatchObject({
      where: expect.stringContaining(`POST ${nobody}/`) as string,
      message: expect.stringMatching(/cannot be reached: connect ECONNREFUSED/) as string,
      fix: expect.stringMatching(/kubectl --context fake/) as string,
    })
    expect(t.registry.manifests.size).toBe(0)
  })

  it.each([['another context', 'kubernetes:other', /no context "other"/, /fake/]])(
    'names %s',
    async (_what, on, message, fix) => {
      const t = await prepare()
      const settings = machineSettings({ HOME: '/nowhere', KUBECONFIG: t.cluster.kubeconfig })
      const image = `docker://${t.registry.host}/app`
      const error = await failing(buildOnCluster({ image, settings, path: '.', builder: 'r.test/b' }, { on }))
      expect(error.message).toMatch(message)
      expect(error.fix).toMatch(fix)
    },
  )
})
