import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { oci } from '../lifecycle/image/media-types.ts'
import { bale, digestIn, root } from './helpers/bale.ts'
import { type DockerRegistry, missing, startDockerRegistry } from './helpers/docker-registry.ts'
import { goLifecycle } from './helpers/go-lifecycle.ts'
import { type Available, suiteWith } from './helpers/skip.ts'
import { temporaryDirectory } from './helpers/temporary.ts'

// The Go rebaser (and `pack rebase --publish`, by the same library) rewrites manifests to Docker's media types and leaves those of layers as
// they are. What skopeo and buildah can read after that has Docker's types throughout.

interface Manifest {
  readonly mediaType: string
  readonly config: { readonly mediaType: string }
  readonly layers: readonly { readonly mediaType: string }[]
}

const absent = missing('skopeo') ?? missing('docker-registry')
const go = absent === undefined ? await goLifecycle() : undefined
const needed: Available<string> = go ?? { state: 'missing', reason: absent ?? '' }

suiteWith('an app that the Go rebaser puts on another run image', needed, lifecycle => {
  let server: DockerRegistry
  const procfile = join(root, 'examples', 'procfile')
  const at = (name: string): string => `${server.host}/${name}`

  const skopeo = (...args: string[]) => spawnSync('skopeo', args, { encoding: 'utf8' })
  const manifest = (name: string): Manifest =>
    JSON.parse(skopeo('inspect', '--tls-verify=false', '--raw', `docker://${at(name)}`).stdout) as Manifest
  const familiesOf = ({ mediaType, config, layers }: Manifest): string[] =>
    [mediaType, config.mediaType, ...layers.map(l => l.mediaType)].map(type =>
      type.includes('docker') ? 'docker' : 'oci',
    )
  /** Reads every layer. */
  const copyOf = async (name: string) =>
    skopeo('copy', '-q', '--src-tls-verify=false', `docker://${at(name)}`, `dir:${await temporaryDirectory()}`)

  async function published(app: string, runImage: string, format: 'oci' | 'docker'): Promise<void> {
    const pushed = await bale(['image', 'push', 'bale.local/stacks/trixie:run', at(runImage), '--format', format])
    expect(pushed.code, pushed.output).toBe(0)
    const build = ['build', at(app), '--path', procfile, '--publish', '--quiet']
    digestIn(await bale([...build, '--run-image', `docker://${at(runImage)}`]))
  }
  async function rebase(app: string, runImage: string): Promise<void> {
    const args = ['-run-image', at(runImage), '-report', join(await temporaryDirectory(), 'report.toml'), at(app)]
    const env = { ...process.env, CNB_PLATFORM_API: '0.15' }
    const rebased = spawnSync(join(lifecycle, 'lifecycle'), args, { argv0: 'rebaser', env, encoding: 'utf8' })
    expect(rebased.status, rebased.stdout + rebased.stderr).toBe(0)
  }

  beforeAll(async () => {
    server = await startDockerRegistry({ secure: false })
  })
  afterAll(() => server.close())

  it('stays readable where the run image was pushed with --format docker', async () => {
    await published('team/app', 'stacks/run:docker', 'docker')
    expect(new Set(familiesOf(manifest('stacks/run:docker')))).toEqual(new Set(['docker']))
    expect(new Set(familiesOf(manifest('team/app')))).toEqual(new Set(['docker']))
    await rebase('team/app', 'stacks/run:docker')
    expect(new Set(familiesOf(manifest('team/app')))).toEqual(new Set(['docker']))
    const copied = await copyOf('team/app')
    expect(copied.status, copied.stderr).toBe(0)
  })

  it('on a run image of OCI is unreadable for others, not for Bale, whose rebase mends it', async () => {
    await published('team/mixed', 'stacks/run:oci', 'oci')
    await rebase('team/mixed', 'stacks/run:oci')
    expect(manifest('team/mixed').layers[0]?.mediaType).toBe(oci.layerGzip)
    expect((await copyOf('team/mixed')).stderr).toContain('unsupported docker v2s2 media type')

    digestIn(await bale(['rebase', at('team/mixed'), '--publish', '--quiet']))
    expect(new Set(familiesOf(manifest('team/mixed')))).toEqual(new Set(['docker']))
    const copied = await copyOf('team/mixed')
    expect(copied.status, copied.stderr).toBe(0)
  })
})
