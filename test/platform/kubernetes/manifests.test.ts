import { describe, expect, it } from 'vitest'
import { clusterManifests } from '../../../lifecycle/platform/kubernetes/build.ts'
import { type ClusterBuild, steps } from '../../../lifecycle/platform/kubernetes/cluster-build.ts'
import { jobOf, secretOf } from '../../../lifecycle/platform/kubernetes/manifests.ts'
import { failureOf } from '../../helpers/failure.ts'
import type { ClusterSettings } from '../../../lifecycle/platform/kubernetes/settings.ts'
import { settings as machineSettings } from '../../../lifecycle/platform/settings.ts'

const build: ClusterBuild = {
  name: 'bale-app-1',
  namespace: 'builds',
  builder: 'r.test/builder:1',
  source: 'docker://r.test/app@sha256:' + '0'.repeat(64),
  image: 'r.test/app:1',
  tags: ['r.test/app:2'],
  clearCache: false,
  insecureRegistries: ['r.test'],
  labels: {},
  annotations: {},
  secrets: [],
  limits: {},
  selection: [],
  deadline: 60,
  hasRegistryAuth: true,
  hasVariables: true,
  events: true,
}

interface Container {
  readonly name: string
  readonly command: readonly string[]
  readonly env: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: unknown }[]
  readonly securityContext: unknown
  readonly volumeMounts: readonly {
    readonly name: string
    readonly mountPath: string
    readonly readOnly?: boolean
    readonly subPath?: string
  }[]
}
interface PodSpec {
  readonly initContainers: readonly Container[]
  readonly containers: readonly Container[]
  readonly volumes: readonly { readonly name: string }[]
  readonly [key: string]: unknown
}

function podOf(cluster: ClusterSettings = {}, of: ClusterBuild = build) {
  const job = jobOf(of, cluster) as unknown as { spec: { template: { spec: PodSpec } } & Record<string, unknown> }
  const pod = job.spec.template.spec
  const containers = [...pod.initContainers, ...pod.containers]
  const at = (name: string) => containers.find(c => c.name === name) as Container
  return { job: job.spec, pod, containers, at }
}

describe('the Job of a build', () => {
  it('runs the phases one after another, export as the main container', () => {
    const { pod, containers, job } = podOf()
    expect(containers.map(c => c.name)).toEqual([...steps])
    expect(pod.containers.map(c => c.name)).toEqual(['export'])
    expect(job).toMatchObject({ backoffLimit: 0, activeDeadlineSeconds: 60, ttlSecondsAfterFinished: 600 })
    expect(pod).toMatchObject({ restartPolicy: 'Never', automountServiceAccountToken: false })
  })

  it('has detect take the order that the container source has made of what is chosen', () => {
    const { at } = podOf({}, { ...build, selection: ['--buildpack', 'a@1'] })
    expect(at('source').command.join(' ')).toContain('--order /bale/order.toml --buildpack a@1')
    expect(at('detect').command.join(' ')).toContain('-order /bale/order.toml')
    expect(at('source').volumeMounts).toContainEqual({ name: 'results', mountPath: '/bale' })
  })

  it('lets export record the run image that was asked for', () => {
    const { at, containers } = podOf({}, { ...build, runImage: 'r.test/run:1' })
    expect(at('source').command.slice(-4)).toEqual(['--run-image', 'r.test/run:1', '--run', '/bale/run.toml'])
    expect(at('source').volumeMounts).toContainEqual({ name: 'results', mountPath: '/bale' })
    for (const { name, env } of containers)
      expect(env.find(e => e.name === 'CNB_RUN_PATH')?.value).toBe(name === 'source' ? undefined : '/bale/run.toml')
    // Otherwise that of the builder image holds.
    for (const { env } of podOf().containers) expect(env.some(e => e.name === 'CNB_RUN_PATH')).toBe(false)
  })

  it('gives detect and build no secret: no variable, no volume, no directory of a container that has one', () => {
    const { at, containers } = podOf({ registrySecret: 'registry', gitSecret: 'git', cache: { claim: 'c' } })
    for (const name of ['detect', 'build']) {
      const { env, volumeMounts } = at(name)
      expect(env.filter(e => e.valueFrom !== undefined)).toEqual([])
      expect(env.map(e => e.name)).not.toContain('DOCKER_CONFIG')
      const volumes = volumeMounts.map(m => m.name)
      expect(volumes).not.toEqual(expect.arrayContaining(['registry']))
      for (const volume of ['registry', 'trusted-tmp', 'trusted-home', 'cache']) expect(volumes).not.toContain(volume)
    }
    for (const name of ['source', 'analyze', 'restore', 'export']) {
      expect(at(name).env).toContainEqual({
        name: 'CNB_REGISTRY_AUTH',
        valueFrom: { secretKeyRef: { name: 'bale-app-1', key: 'registry-auth' } },
      })
      expect(at(name).volumeMounts.map(m => m.name)).toContain('registry')
      expect(at(name).volumeMounts.map(m => m.name)).not.toContain('buildpacks-tmp')
    }
    const withGit = containers.filter(c => c.env.some(e => e.name === 'GIT_PASSWORD')).map(c => c.name)
    expect(withGit).toEqual(['source'])
  })

  it('gives the containers of buildpacks their bindings, export what it must not find, and nothing else', () => {
    const { pod, containers, at } = podOf(
      { bindings: ['of-team'] },
      {
        ...build,
        secrets: [
          { id: 'npm', type: 'npmrc', key: '.npmrc' },
          { id: 'npm', type: 'npmrc', key: 'other' },
          { id: 'token', type: 'token', key: 'token' },
        ],
      },
    )
    const items = (...pairs: [string, string][]) => pairs.map(([key, path]) => ({ key, path }))
    expect(pod.volumes.filter(v => v.name.startsWith('binding-'))).toEqual([
      {
        name: 'binding-0',
        secret: {
          secretName: 'bale-app-1',
          items: items(['secret-1-type', 'type'], ['secret-0', '.npmrc'], ['secret-1', 'other']),
          defaultMode: 0o440,
        },
      },
      {
        name: 'binding-1',
        secret: {
          secretName: 'bale-app-1',
          items: items(['secret-2-type', 'type'], ['secret-2', 'token']),
          defaultMode: 0o440,
        },
      },
      { name: 'binding-2', secret: { secretName: 'of-team', defaultMode: 0o440 } },
    ])
    for (const { name, volumeMounts } of containers) {
      const mounts = volumeMounts.filter(m => m.name.startsWith('binding-'))
      const wanted = ['npm', 'token', 'of-team'].map((id, index) => ({
        name: `binding-${index}`,
        mountPath: `/platform/bindings/${id}`,
        readOnly: true,
      }))
      expect(mounts, name).toEqual(name === 'analyze' || name === 'restore' ? [] : wanted)
    }
    for (const name of ['detect', 'build', 'export'])
      expect(at(name).command.join(' ')).toContain('-secrets /platform/bindings')
    expect(JSON.stringify(podOf().containers)).not.toContain('-secrets')
  })

  it('has export set labels and annotations', () => {
    const { at } = podOf({}, { ...build, labels: { a: 'b,c' }, annotations: { d: 'e=f' } })
    expect(at('export').command.slice(-6)).toEqual([
      ...['-label', 'a=b,c', '-annotation', 'd=e=f'],
      ...['r.test/app:1', 'r.test/app:2'],
    ])
  })

  it('lets buildpacks read, but not write, what tells export which images to use', () => {
    const { at } = podOf()
    for (const name of ['detect', 'build'])
      expect(at(name).volumeMounts).toContainEqual({ name: 'results', mountPath: '/bale', readOnly: true })
    for (const { env } of podOf().containers)
      expect(env).toContainEqual({ name: 'CNB_ANALYZED_PATH', value: '/bale/analyzed.toml' })
    expect(at('detect').volumeMounts.find(m => m.mountPath === '/workspace')?.readOnly).toBe(true)
  })

  it('keeps to the restricted Pod Security Standard', () => {
    const { pod, containers } = podOf()
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } })
    for (const { securityContext } of containers)
      expect(securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      })
  })

  it('mounts every volume that it names, and names every volume that it mounts', () => {
    const { pod, containers } = podOf({ registrySecret: 'registry', cache: { claim: 'c' } })
    const mounted = new Set(containers.flatMap(c => c.volumeMounts.map(m => m.name)))
    expect([...mounted].sort()).toEqual(pod.volumes.map(v => v.name).sort())
  })

  it('takes the settings of the cluster', () => {
    const { job, pod, at } = podOf({
      serviceAccount: 'builds',
      imagePullSecrets: ['pull'],
      imagePullPolicy: 'Always',
      nodeSelector: { disk: 'ssd' },
      tolerations: [{ key: 'builds', operator: 'Exists' }],
      resources: { limits: { memory: '1Gi' } },
      cache: { image: 'r.test/cache' },
      queue: 'team',
      ttl: 5,
      user: { uid: 1001, gid: 1002 },
    })
    expect(job).toMatchObject({ suspend: true, ttlSecondsAfterFinished: 5 })
    expect(jobOf(build, { queue: 'team' }).metadata).toMatchObject({
      labels: { 'kueue.x-k8s.io/queue-name': 'team' },
    })
    expect(pod).toMatchObject({
      serviceAccountName: 'builds',
      imagePullSecrets: [{ name: 'pull' }],
      nodeSelector: { disk: 'ssd' },
      securityContext: { runAsUser: 1001, runAsGroup: 1002, fsGroup: 1002 },
    })
    expect((pod.tolerations as { key: string }[])[0]).toEqual({ key: 'builds', operator: 'Exists' })
    expect(at('build')).toMatchObject({ resources: { limits: { memory: '1Gi' } }, imagePullPolicy: 'Always' })
    for (const name of ['analyze', 'restore', 'export']) expect(at(name).command.join(' ')).toContain('r.test/cache')
    expect(at('build').env).toContainEqual({ name: 'CNB_USER_ID', value: '1001' })
  })

  it('limits what buildpacks use as the build says, and the disk space of the pod; requests are no higher', () => {
    const limits = { memory: 2_000_000_000, disk: 5_000_000_000 }
    const resources = {
      requests: { cpu: '1', memory: '4Gi', 'ephemeral-storage': '100Mi' },
      limits: { memory: '8Gi', cpu: '2', 'ephemeral-storage': '20Gi' },
    }
    const { at } = podOf({ resources }, { ...build, limits })
    for (const name of ['detect', 'build'])
      expect(at(name)).toMatchObject({
        resources: {
          requests: { cpu: '1', memory: '2000000000', 'ephemeral-storage': '100Mi' },
          limits: { cpu: '2', memory: '2000000000', 'ephemeral-storage': '5000000000' },
        },
      })
    for (const name of ['source', 'analyze', 'restore', 'export'])
      expect(at(name)).toMatchObject({
        resources: {
          requests: { memory: '4Gi' },
          limits: { memory: '8Gi', 'ephemeral-storage': '5000000000' },
        },
      })
  })

  it('has the certificates of a ConfigMap where programs look for them, in each container', () => {
    const { pod, at } = podOf({ certificates: { configMap: 'trusted', key: 'ca-bundle.crt' } })
    expect(pod.volumes).toContainEqual({
      name: 'certificates',
      configMap: { name: 'trusted', items: [{ key: 'ca-bundle.crt', path: 'ca-bundle.crt' }] },
    })
    for (const name of ['source', 'analyze', 'detect', 'restore', 'build', 'export'])
      expect(at(name).volumeMounts).toContainEqual({
        name: 'certificates',
        mountPath: '/etc/ssl/certs/ca-certificates.crt',
        subPath: 'ca-bundle.crt',
        readOnly: true,
      })
  })

  it('keeps the cache of each image by itself in a claim that several share', () => {
    const pathOf = (image: string) =>
      podOf({ cache: { claim: 'c' } }, { ...build, image })
        .at('export')
        .volumeMounts.at(-1)?.subPath
    expect(pathOf('r.test/a')).toMatch(/^app-[0-9a-f]+$/)
    expect(pathOf('r.test/a')).not.toBe(pathOf('r.test/b'))
  })

  it('owns its Secret, which goes when the Job goes', () => {
    const secret = secretOf(build, { 'registry-auth': '{}' }, { name: 'bale-app-1', uid: 'u' })
    expect(secret?.metadata['ownerReferences']).toEqual([
      { apiVersion: 'batch/v1', kind: 'Job', name: 'bale-app-1', uid: 'u', controller: true },
    ])
    expect(secretOf(build, {})).toBeUndefined()
    expect(secretOf(build, { a: 'text', b: Uint8Array.of(0, 255) })).toMatchObject({
      stringData: { a: 'text' },
      data: { b: 'AP8=' },
    })
  })
})

describe('manifests for others to apply', () => {
  const options = {
    image: 'docker://r.test/team/App:1'.toLowerCase(),
    settings: machineSettings({ HOME: '/nowhere', CNB_REGISTRY_AUTH: '{"r.test":"Basic c2VjcmV0OnNlY3JldA=="}' }),
    path: 'git+https://git.test/app.git#main',
    builder: 'r.test/builder',
  }

  it('hold no credentials of whoever prints them, and text for the log', async () => {
    const text = JSON.stringify(await clusterManifests({ ...options, env: { A: 'b' } }, { on: 'kubernetes:x/y' }))
    expect(text).not.toMatch(/c2VjcmV0|REGISTRY_AUTH|jsonl/)
    expect(text).toContain('"variables":"{\\"A\\":\\"b\\"}"')
    expect(text).toContain('"namespace":"y"')
  })

  it('are the same for the same build, with another name for any other', async () => {
    const nameOf = async (more: object) =>
      (await clusterManifests({ ...options, ...more }, { on: 'kubernetes' })).at(-1)?.metadata.name
    const name = await nameOf({ env: { A: 'b' } })
    expect(name).toMatch(/^bale-app-[0-9a-f]{10}$/)
    expect(await nameOf({ env: { A: 'b' } })).toBe(name)
    for (const more of [{ env: { A: 'c' } }, { buildpacks: ['a@1'] }, { labels: { a: 'b' } }])
      expect(await nameOf({ env: { A: 'b' }, ...more })).not.toBe(name)
  })

  it.each([
    ['source of this machine', { path: '.' }, /--path git/],
    ['a password in the URL', { path: 'git+https://ann:pw@git.test/app.git' }, /gitSecret/],
    ['no builder', { builder: undefined }, /--builder/],
    ['a builder of this machine', { builder: './builder' }, /in a registry/],
    ['no registry', { image: 'app' }, /--publish/],
    ['names in two registries', { tags: ['docker://other.test/app'] }, /copy the image/],
    ['a secret', { secrets: [{ id: 'a', type: 't', key: 'k', value: new Uint8Array() }] }, /bindings in the settings/],
    ['retries', { settings: { ...machineSettings({ HOME: '/nowhere' }), registryAttempts: 2 } }, /five times/],
    ['a limit of processes', { limits: { pids: 1 } }, /podPidsLimit/],
    ['a buildpack of this machine', { buildpacks: ['./mine'] }, /bale builder create/],
    ['a packaged one', { preBuildpacks: ['mine.cnb'] }, /bale builder create/],
    ['one in an image', { postBuildpacks: ['docker://r.test/mine'] }, /bale builder create/],
    ['no network', { network: 'none' as const }, /NetworkPolicy/],
    ['another cache', { cacheTo: ['type=local,dest=x'] }, /--cache-image/],
  ])('are refused with what to do: %s', async (_what, more, fix) => {
    expect(await failureOf(clusterManifests({ ...options, ...more }, { on: 'kubernetes' }))).toMatchObject({
      code: expect.stringMatching(/^(usage|input)$/) as string,
      fix: expect.stringMatching(fix) as string,
    })
  })
})
