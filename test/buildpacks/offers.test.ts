import { describe, expect, it } from 'vitest'
import type { Buildpack } from '../../buildpacks/sdk/buildpack.ts'
import type { Runner } from '../../buildpacks/sdk/command.ts'
import { go } from '../../buildpacks/go/go.ts'
import { java } from '../../buildpacks/java/java.ts'
import { nodejs } from '../../buildpacks/nodejs/nodejs.ts'
import { rust } from '../../buildpacks/rust/rust.ts'
import { offersEntry, offersVariable, parseOffers } from '../../lifecycle/spec/offers.ts'
import type { Metadata } from '../../lifecycle/spec/types.ts'
import { FakeGo } from './go/fake-go.ts'
import { bundledDir } from './nodejs/bundled.ts'
import { FakeManagers } from './nodejs/fake-managers.ts'
import { FakeDebian } from './python/fake-debian.ts'
import { buildpackDir, openProject, projectOf } from './sdk/project.ts'

const env = { [offersVariable]: 'true' }

/** What a buildpack offers, with fakes in place of registries. */
async function offersOf(buildpack: Buildpack, runner: Runner, dir?: string) {
  const project = await openProject({ buildpack, dir: dir ?? (await buildpackDir()), app: {}, env, runner })
  const { exitCode, output, plan } = await project.detect()
  expect(exitCode, output).toBe(0)
  expect(plan).toMatchObject({ provides: [{ name: offersEntry }] })
  const [required] = plan?.['requires'] as { name: string; metadata: Metadata }[]
  expect(required?.name).toBe(offersEntry)
  return parseOffers(required?.metadata ?? {})
}

describe('the versions that a buildpack offers', () => {
  it('of Node.js and its package managers are those of the registry, without betas, the newest first', async () => {
    const managers = new FakeManagers()
    managers.npm.versions['pnpm'] = ['10.0.0', '9.15.9', '11.0.0-beta.1', '10.34.9']
    managers.npm.versions['@deno/linux-x64-glibc'] = ['2.5.1']
    const offers = await offersOf(nodejs, managers.runner, await bundledDir())
    expect(offers.map(({ name }) => name)).toEqual(['Node.js', 'npm', 'Yarn 1', 'Yarn', 'pnpm', 'Bun', 'Deno'])
    expect(offers[0]?.versions.slice(0, 2)).toEqual(['26.1.0', '25.0.0'])
    expect(offers[4]).toEqual({
      name: 'pnpm',
      from: "npm's registry, package pnpm",
      versions: ['10.34.9', '10.0.0', '9.15.9'],
    })
    expect(managers.commands.every(command => command.startsWith('npm view '))).toBe(true)
  })

  it('of Go are the releases of the proxy', async () => {
    const fake = new FakeGo()
    const [offer] = await offersOf(go, fake.runner)
    expect(offer?.versions).toEqual(['1.26.0', '1.25.3', '1.24.9', '1.24.1', '1.21.0', '1.20.14', '1.20', '1.9.7'])
  })

  it('of Rust are Debian’s, and what rustup can bring', async () => {
    const debian = new FakeDebian()
    debian.packages['rustc'] = { version: '1.85.0+dfsg3-1', files: {} }
    const offers = await offersOf(rust, debian.runner)
    expect(offers).toMatchObject([
      { name: 'Rust', versions: ['1.85.0'], more: expect.stringContaining('rustup') as unknown },
    ])
  })

  it('of Java are all that Debian has', async () => {
    const debian = new FakeDebian()
    for (const major of [21, 25]) {
      debian.packages[`openjdk-${major}-jdk-headless`] = { version: `1:${major}.0.9+10-1~deb13u1`, files: {} }
    }
    debian.packages['maven'] = { version: '3.9.9-1', files: {} }
    const runner: Runner = (command, onLine) =>
      command.argv.includes('pack')
        ? Promise.resolve({ exitCode: 1, stdout: '', stderr: 'npm error network' })
        : debian.runner(command, onLine)
    const offers = await offersOf(java, runner, await bundledDir())
    expect(offers).toMatchObject([
      { versions: ['21.0.9', '25.0.9'], more: expect.stringContaining('Java 17 of bookworm') as unknown },
      { versions: ['3.9.9'], more: expect.stringContaining('BP_MAVEN_VERSION') as unknown },
      // mise itself comes from the npm registry, which this build cannot reach.
      { name: 'Temurin', versions: [], more: 'builds that cannot be shown, as the list of them is out of reach' },
    ])
  })

  it('are none of a buildpack that has no choice', async () => {
    const project = await projectOf(() => ({}), { env })
    expect((await project.detect()).plan).toMatchObject({ requires: [{ metadata: { offers: [] } }] })
  })

  it('cannot be listed without a network, which is said with what to check', async () => {
    const managers = new FakeManagers()
    managers.npm.offline = true
    const dir = await bundledDir()
    const project = await openProject({ buildpack: nodejs, dir, app: {}, env, runner: managers.runner })
    const { exitCode, output, plan } = await project.detect()
    expect(exitCode).toBe(1)
    expect(output).toContain('check the network, the registry in .npmrc or NPM_CONFIG_REGISTRY')
    expect(plan).toBeUndefined()
  })
})
