import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeImage } from '../lifecycle/image/image.ts'
import { parseReference } from '../lifecycle/image/reference.ts'
import { anonymous } from '../lifecycle/stores/credentials.ts'
import { copyImage } from '../lifecycle/stores/copy.ts'
import { layoutStore } from '../lifecycle/stores/layout/store.ts'
import { type Registry, openRegistry, registryStore } from '../lifecycle/stores/registry/store.ts'
import type { ImageStore } from '../lifecycle/stores/store.ts'
import { bale, digestIn, inspect, root } from './helpers/bale.ts'
import { type DockerRegistry, missing, startDockerRegistry } from './helpers/docker-registry.ts'
import { platform, sourceOf } from './helpers/images.ts'
import { type Available, suiteWith } from './helpers/skip.ts'
import { temporaryDirectory } from './helpers/temporary.ts'

const procfile = join(root, 'examples', 'procfile')

const absent = missing('docker-registry')
const server: Available<DockerRegistry> =
  absent === undefined
    ? { state: 'available', value: await startDockerRegistry({ secure: false }) }
    : { state: 'missing', reason: absent }

suiteWith('an app in a registry', server, registryServer => {
  const { host } = registryServer
  let registry: Registry
  const at = (repository: string): ImageStore => registryStore(parseReference(`${host}/${repository}`), { registry })

  /** A copy of the app's run image with one more layer, as the next release of it would be. */
  async function release(from: ImageStore, name: string, tag: string, files = {}): Promise<void> {
    const run = (await from.pull(name, platform))!
    const store = at('stacks/run')
    const layers = []
    for (const layer of run.layers) layers.push(await store.putLayer(layer))
    layers.push(await store.putLayer(sourceOf({ '/etc/release': tag, ...files })))
    const config = { ...run.config, config: { ...run.config.config, Env: ['OF=run-image'] } }
    await store.putImage(makeImage(config, layers), [tag])
  }

  beforeAll(async () => {
    registry = openRegistry({ registry: host, credentials: anonymous })
    // The run image as it is published, and the app on it.
    const built = await bale(['build', 'bale-test-rebase', '--path', procfile, '--quiet'])
    expect(built.code, built.output).toBe(0)
    const inspected = await inspect('bale-test-rebase')
    const pushed = await bale(['image', 'push', inspected.base.name, `${host}/stacks/run:v1`])
    expect(pushed.code, pushed.output).toBe(0)
    const app = ['build', `${host}/team/app`, '--path', procfile, '--publish', '--quiet']
    const published = await bale([...app, '--run-image', `docker://${host}/stacks/run:v1`])
    expect(published.code, published.output).toBe(0)
    await release(at('stacks/run'), 'v1', 'v2')
  })
  afterAll(async () => {
    await registry.close()
    await registryServer.close()
  })

  const rebase = (...args: string[]) => bale(['rebase', `${host}/team/app`, '--publish', '--quiet', ...args])

  it('is what it was when its run image is', async () => {
    const before = (await at('team/app').pull('latest', platform))!
    expect(digestIn(await rebase())).toBe(before.digest)
  })

  it('is only compared with --check: whether there is a newer run image, and which packages it would change', async () => {
    const before = (await at('team/app').pull('latest', platform))!
    const check = (...args: string[]) => bale(['rebase', `${host}/team/app`, '--publish', '--check', ...args])
    const same = await check()
    expect([same.code, same.stdout], same.output).toEqual([0, `linux/amd64 is on the newest ${host}/stacks/run:v1\n`])
    const other = (tag: string) => `--run-image=docker://${host}/stacks/run:${tag}`
    const newer = await check(other('v2'))
    const { digest } = (await at('stacks/run').pull('v2', platform))!
    expect(newer.stdout, newer.output).toContain(`can be rebased: ${host}/stacks/run:v2 is `)
    expect(newer.stdout).toContain(digest)
    expect(newer.stdout).toMatch(/\n {2}no package changes\n$/)
    const extra = 'Package: extra\nStatus: install ok installed\nVersion: 1.2-3\nArchitecture: all\n'
    await release(at('stacks/run'), 'v1', 'v3', { '/var/lib/dpkg/status.d/extra': extra })
    expect((await check(other('v3'))).stdout).toMatch(/\n {2}extra 1\.2-3 is new\n$/)
    const missing = await bale(['rebase', `${host}/team/not-there`, '--publish', '--check'])
    expect([missing.code === 0, missing.stderr]).toEqual([false, expect.stringContaining('team/not-there')])
    expect((await at('team/app').pull('latest', platform))!.digest).toBe(before.digest)
  })

  it('gets the next release, with its own layers above it, and the same digest every time', async () => {
    const before = (await at('team/app').pull('latest', platform))!
    const other = [`--run-image=docker://${host}/stacks/run:v2`, '--tag', `${host}/team/app:next`]
    const refused = await rebase(...other)
    expect(refused.code).toBe(72)
    expect(refused.stderr).toContain('is not one of the run images that it was built for')
    expect((await at('team/app').pull('latest', platform))!.digest).toBe(before.digest)

    const digest = digestIn(await rebase(...other, '--force'))
    const after = (await at('team/app').pull('next', platform))!
    expect(after.digest).toBe(digest)
    const run = (await at('stacks/run').pull('v2', platform))!
    const own = before.layers.slice(run.layers.length - 1).map(l => l.digest)
    expect(after.layers.map(l => l.digest)).toEqual([...run.layers.map(l => l.digest), ...own])
    expect(after.config.config!.Env).toEqual(before.config.config!.Env)
    // Now that is the run image that it is on.
    expect(digestIn(await rebase())).toBe(digest)
    expect(digestIn(await rebase(`--run-image=docker://${host}/stacks/run:v2`))).toBe(digest)
  })

  it('is rebased in the local store and in a layout as well, and runs there', async () => {
    const dir = await temporaryDirectory()
    const before = (await at('team/app').pull('latest', platform))!
    await copyImage(before, layoutStore(join(dir, 'out')), ['app'])
    const rebased = await bale(['rebase', `oci:${dir}/out:app`, '--tag', 'bale-test-rebased', '--quiet'])
    expect(digestIn(rebased)).toBe((await layoutStore(join(dir, 'out')).pull('app', platform))!.digest)
    const run = await bale(['run', 'bale-test-rebased', '--process', 'date'])
    expect(run.stdout, run.output).toContain('UTC')
  })

  describe('a cache image', () => {
    it('is shared by machines that know nothing of each other', async () => {
      const args = ['build', `${host}/team/cached`, '--path', join(root, 'examples', 'node'), '--publish']
      const dir = await temporaryDirectory()
      const cache = ['--cache-image', `${host}/team/cache`]
      const build = (machine: string) => bale([...args, ...cache], { env: { XDG_CACHE_HOME: join(dir, machine) } })
      const first = await build('one')
      expect(first.code, first.output).toBe(0)
      expect(first.output).toContain("Adding cache layer 'bale/nodejs:")
      const second = await build('two')
      expect(second.code, second.output).toBe(0)
      expect(second.output).toContain('from cache')
      expect(second.output).toContain("Reusing cache layer 'bale/nodejs:")
      expect(second.output).not.toContain('Adding')
    })
  })

  it('is rebased without a look at any layer: bytes that are garbage by now are no obstacle', async () => {
    const { layers } = (await at('team/app').pull('latest', platform))!
    for (const { digest } of layers) {
      const path = registryServer.blobPath(digest.slice('sha256:'.length))
      await writeFile(path, Buffer.alloc((await stat(path)).size))
    }
    const rebased = await rebase(`--run-image=docker://${host}/stacks/run:v1`, '--force')
    expect(rebased.code, rebased.output).toBe(0)
  })
})
