import { describe, expect, it, onTestFinished } from 'vitest'
import { rebaseFleetCommand } from '../../../lifecycle/cli/commands/rebase.ts'
import { writeUserConfig } from '../../../lifecycle/cli/config-file.ts'
import type { CommandContext, GlobalOptions } from '../../../lifecycle/cli/context.ts'
import { silent } from '../../../lifecycle/events.ts'
import { makeImage } from '../../../lifecycle/image/image.ts'
import { rebaseOnCluster } from '../../../lifecycle/platform/kubernetes/rebase.ts'
import { settings as machineSettings } from '../../../lifecycle/platform/settings.ts'
import { putAppImage, putRunImage } from '../../helpers/app-image.ts'
import { failureOf } from '../../helpers/failure.ts'
import { type FakeClusterOptions, startFakeCluster } from '../../helpers/fake-cluster.ts'
import { configOf, platform, sourceOf } from '../../helpers/images.ts'
import { connect, serve } from '../../helpers/registry/set-up.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'

const pod = (...images: string[]) => ({ spec: { containers: images.map((image, i) => ({ name: `c${i}`, image })) } })
const deployment = (name: string, labels: Record<string, string>, ...images: string[]) => ({
  metadata: { name, labels },
  spec: { template: pod(...images) },
})

/** A registry with two apps on a run image that has a newer version, one on the newest, and an image that no buildpack built. */
async function prepare(workloads: (host: string) => FakeClusterOptions['workloads'], more: FakeClusterOptions = {}) {
  const registry = await serve()
  const { at } = connect(registry.host)
  const cluster = await startFakeCluster({ workloads: workloads(registry.host) ?? {}, ...more })
  onTestFinished(() => cluster[Symbol.asyncDispose]())
  const run = { name: `${registry.host}/run:1`, image: await putRunImage(at('run'), '1') }
  for (const name of ['one', 'two']) await putAppImage(at(`team/${name}`), 'v1', run)
  const newer = await putRunImage(at('run'), '1', { layers: [{ '/lib/libc': 'newer' }] })
  await putAppImage(at('team/current'), 'v1', { ...run, image: newer })
  const plain = at('team/plain')
  await plain.putImage(makeImage(configOf(), [await plain.putLayer(sourceOf({ '/x': 'x' }))]), ['v1'])
  const env = { HOME: await temporaryDirectory(), KUBECONFIG: cluster.kubeconfig }
  const fleet = (options: object = {}) =>
    rebaseOnCluster({ on: 'kubernetes', settings: machineSettings(env), reporter: silent, ...options })
  const topLayer = async (app: string) => (await at(`team/${app}`).pull('v1', platform))?.layers[0]?.diffId
  return { host: registry.host, env, cluster, newest: newer.layers[0]?.diffId, fleet, topLayer }
}

const all = (host: string) => ({
  deployments: [
    deployment('web', { team: 'a' }, `${host}/team/one:v1`, `${host}/team/plain:v1`),
    deployment('also', { team: 'b' }, `${host}/team/one:v1`, `${host}/team/current:v1`),
  ],
  statefulsets: [deployment('kept', { team: 'b' }, `${host}/team/one@sha256:${'a'.repeat(64)}`)],
  cronjobs: [
    {
      metadata: { name: 'nightly', labels: { team: 'b' } },
      spec: { jobTemplate: { spec: { template: pod(`${host}/team/two:v1`) } } },
    },
  ],
})

describe('rebase of what a cluster runs', () => {
  it('rebases each image once that has a newer run image, and leaves the others alone', async () => {
    const { host, fleet, topLayer, newest, cluster } = await prepare(all)
    const { images, namespace, context } = await fleet()
    expect([context, namespace]).toEqual(['fake', 'builds'])
    const short = images.map(({ image, workloads, state }) => [image.replace(`${host}/team/`, ''), workloads, state])
    expect(short).toEqual([
      ['current:v1', ['deployment/also'], 'current'],
      ['one:v1', ['deployment/web', 'deployment/also'], 'rebased'],
      [`one@sha256:${'a'.repeat(64)}`, ['statefulset/kept'], 'skipped'],
      ['plain:v1', ['deployment/web'], 'skipped'],
      ['two:v1', ['cronjob/nightly'], 'rebased'],
    ])
    for (const app of ['one', 'two']) expect(await topLayer(app)).toBe(newest)
    // The cluster is asked, and nothing is changed there.
    expect(cluster.requests.filter(line => !line.startsWith('GET '))).toEqual([])
    // A second time there is nothing to do.
    expect((await fleet()).images.map(({ state }) => state)).toEqual([
      'current',
      'current',
      'skipped',
      'skipped',
      'current',
    ])
  })

  it('takes the workloads with the labels of a selector', async () => {
    const { fleet, topLayer, newest } = await prepare(all)
    expect((await fleet({ selector: 'team=a' })).images.map(({ state }) => state)).toEqual(['rebased', 'skipped'])
    expect(await topLayer('one')).toBe(newest)
    expect(await topLayer('two')).not.toBe(newest)
    expect((await fleet({ selector: 'team=none' })).images).toEqual([])
  })

  it('changes nothing when it only checks', async () => {
    const { fleet, topLayer, newest } = await prepare(all)
    const { images } = await fleet({ check: true })
    expect(images.map(({ state }) => state)).toEqual(['current', 'newer', 'skipped', 'skipped', 'newer'])
    for (const app of ['one', 'two']) expect(await topLayer(app)).not.toBe(newest)
  })

  it('reads run images where --pull-policy or the user’s configuration says', async () => {
    const { env, topLayer, newest } = await prepare(host => ({
      deployments: [deployment('web', {}, `${host}/team/one:v1`)],
    }))
    const command = async (options: GlobalOptions) => {
      const lines: string[] = []
      const context = {
        env,
        settings: machineSettings(env),
        reporter: silent,
        print: (line: string) => lines.push(line),
      }
      await rebaseFleetCommand(context as unknown as CommandContext, 'kubernetes', options).catch(() => undefined)
      return lines.join('\n')
    }
    expect(await command({ pullPolicy: 'never' })).toContain('could not be rebased: there is no image')
    await writeUserConfig(env, { pullPolicy: 'never', runImageMirrors: {}, registryMirrors: {} })
    expect(await command({})).toContain('could not be rebased: there is no image')
    expect(await topLayer('one')).not.toBe(newest)
    expect(await command({ pullPolicy: 'always' })).toContain('is rebased')
    expect(await topLayer('one')).toBe(newest)
  })

  it('goes on after an image that cannot be had', async () => {
    const { fleet, topLayer, newest } = await prepare(host => ({
      deployments: [deployment('web', {}, `${host}/team/missing:v1`, `${host}/team/one:v1`, 'UPPER CASE')],
    }))
    const { images } = await fleet()
    expect(images.map(({ state }) => state)).toEqual(['failed', 'rebased', 'failed'])
    expect(await topLayer('one')).toBe(newest)
  })

  it('says what permission is missing', async () => {
    const { fleet } = await prepare(all, {
      refuse: (_method, path) => (path.endsWith('/daemonsets') ? [403, 'daemonsets.apps is forbidden'] : undefined),
    })
    expect(await failureOf(fleet())).toMatchObject({
      code: 'cluster',
      message: expect.stringContaining('daemonsets.apps is forbidden') as string,
      fix: expect.stringContaining('docs/kubernetes.md has the Role') as string,
    })
  })
})
