import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { BaleError } from '../../lifecycle/errors.ts'
import { mirroredSource, mirrorsOf } from '../../lifecycle/stores/mirrors.ts'
import { readRegistriesConf } from '../../lifecycle/stores/registries-conf.ts'
import { registry } from '../../lifecycle/stores/registry/transport.ts'
import type { ImageSource } from '../../lifecycle/stores/store.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

async function conf(text: string): Promise<string> {
  const path = join(await temporaryDirectory(), 'registries.conf')
  await writeFile(path, text)
  return path
}

describe('registries.conf', () => {
  it('has mirrors, TLS and what is insecure, registry by registry', async () => {
    const path = await conf(`
unqualified-search-registries = ["docker.io"]
[[registry]]
prefix = "docker.io"
location = "docker.io"
only-mirrors = true
[[registry.mirror]]
location = "m.test:5000/hub"
insecure = true
[[registry]]
location = "r.test"
ca = "ca.pem"
client-cert = "/c.pem"
client-key = "k.pem"
skip-tls-verify = true
keep-immutable-tags = true
`)
    const at = (name: string) => join(path, '..', name)
    expect(readRegistriesConf(path)).toEqual({
      'index.docker.io': { mirrors: ['m.test:5000/hub'], onlyMirrors: true },
      'm.test:5000': { insecure: true },
      'r.test': {
        mirrors: [],
        ca: at('ca.pem'),
        clientCert: '/c.pem',
        clientKey: at('k.pem'),
        skipTlsVerify: true,
        keepImmutableTags: true,
      },
    })
    expect(readRegistriesConf(undefined)).toBeUndefined()
  })

  it.each([
    ['[[registry]]\nprefix = "r.test/team"', 'registry.0'],
    ['[[registry]]\nprefix = "*.test"', 'registry.0'],
    ['[[registry]]\nprefix = "a.test"\nlocation = "b.test"', 'registry.0'],
    ['[[registry]]\nlocation = "a.test"\nblocked = true', 'registry.0'],
    ['[[registry]]\nlocation = "a.test"\ninsecure = "yes"', 'registry.0.insecure'],
  ])('is refused where it would be half obeyed: %j', async (text, place) => {
    const path = await conf(text)
    expect(() => readRegistriesConf(path)).toThrowError(
      expect.objectContaining({ code: 'input', where: `${path} ${place}` }) as BaleError,
    )
  })

  it('is an error where it is not', () => {
    expect(() => readRegistriesConf('/absent')).toThrowError(
      expect.objectContaining({ code: 'filesystem', where: '/absent' }) as BaleError,
    )
  })
})

describe('mirrors', () => {
  it('have the same repository, below their path', () => {
    const names = (text: string, ...mirrors: string[]) =>
      mirrorsOf(registry.parse(text), mirrors).map(({ name }) => name)
    expect(names('debian:13', 'm.test', 'n.test:5000/hub')).toEqual([
      'm.test/library/debian:13',
      'n.test:5000/hub/library/debian:13',
    ])
    const digest = `sha256:${'0'.repeat(64)}`
    expect(names(`r.test/a/b@${digest}`, 'm.test')).toEqual([`m.test/a/b@${digest}`])
  })

  const place = (description: string, pull: ImageSource['pull']) => ({
    store: { description, pull, pullIndex: () => Promise.resolve(undefined) },
    name: description,
  })
  const image = { digest: 'found' } as unknown as Awaited<ReturnType<ImageSource['pull']>>
  const platform = { os: 'linux', architecture: 'amd64' }

  it('are asked in their order, and passed over where they fail or have nothing', async () => {
    const warnings: string[] = []
    const failing = place('a', () => Promise.reject(new BaleError('registry', 'it is away')))
    const empty = place('b', () => Promise.resolve(undefined))
    const full = place('c', name => Promise.resolve(name === 'c' ? image : undefined))
    const source = mirroredSource('r', [failing, empty, full], text => warnings.push(text))
    expect(await source.pull('x', platform)).toBe(image)
    expect(warnings).toEqual([expect.stringContaining('it is away')])
  })

  it('fail as the last place does', async () => {
    const source = mirroredSource('r', [place('a', () => Promise.reject(new BaleError('registry', 'away')))], () => {})
    await expect(source.pull('x', platform)).rejects.toThrow('away')
  })
})
