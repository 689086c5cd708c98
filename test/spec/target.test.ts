import { describe, expect, it } from 'vitest'
import { parseBuildpack } from '../../lifecycle/spec/buildpack.ts'
import { describeTarget, matchesTarget, parseOsRelease, targetEnv, targetOf } from '../../lifecycle/spec/target.ts'
import type { Target } from '../../lifecycle/spec/types.ts'

const osRelease = `
PRETTY_NAME="Debian GNU/Linux 13 (trixie)"
NAME="Debian GNU/Linux"
VERSION_ID="13"
VERSION="13 (trixie)"
ID=debian
# ID=comment
`
const debian: Target = { os: 'linux', arch: 'amd64', distro: { name: 'debian', version: '13' } }

describe('parseOsRelease', () => {
  it.each([
    [osRelease, { name: 'debian', version: '13' }],
    ["ID='ubuntu'\nVERSION_ID='24.04'\n", { name: 'ubuntu', version: '24.04' }],
    ['ID=arch\r\n', { name: 'arch', version: '' }],
    ['ID="a\\$b\\"c"\nID_LIKE=x', { name: 'a$b"c', version: '' }],
    ['ID=first\nID=last', { name: 'last', version: '' }],
    ['VERSION_ID=1', undefined],
    ['ID=', undefined],
    ['', undefined],
  ])('reads %j', (text, distro) => expect(parseOsRelease(text)).toEqual(distro))
})

describe('targetOf', () => {
  const image = { os: 'linux', architecture: 'arm64', variant: 'v8', labels: {} }
  const labels = { 'io.buildpacks.base.distro.name': 'alpine', 'io.buildpacks.base.distro.version': '3.20' }
  it('takes the labels before os-release', () => {
    expect(targetOf({ ...image, labels }, osRelease)).toEqual({
      os: 'linux',
      arch: 'arm64',
      variant: 'v8',
      distro: { name: 'alpine', version: '3.20' },
    })
    expect(targetOf(image, osRelease).distro).toEqual({ name: 'debian', version: '13' })
  })
  it('leaves open what nobody says', () => {
    expect(targetOf({ ...image, variant: '' })).toEqual({ os: 'linux', arch: 'arm64' })
  })
  it('knows the distribution of the bionic stack', () => {
    const stack = { 'io.buildpacks.stack.id': 'io.buildpacks.stacks.bionic' }
    expect(targetOf({ ...image, labels: stack }).distro).toEqual({ name: 'ubuntu', version: '18.04' })
    expect(targetOf({ ...image, labels: { 'io.buildpacks.stack.id': 'other' } }).distro).toBeUndefined()
  })
})

describe('matchesTarget (buildpack.md, "Targets")', () => {
  const matches = (targets: string, target: Target) =>
    matchesTarget(parseBuildpack(`${targets}\napi="0.12"\n[buildpack]\nid="a"\nversion="1"`, 'x'), target)

  it.each<[string, boolean]>([
    ['', true],
    ['targets = []', true],
    ['targets = [{ os = "linux" }]', true],
    ['targets = [{ os = "windows" }]', false],
    ['targets = [{ arch = "arm64" }]', false],
    ['targets = [{ arch = "arm64" }, { arch = "amd64" }]', true],
    ['targets = [{ os = "linux", arch = "amd64", variant = "v2" }]', true],
    ['targets = [{ distros = [{ name = "debian", version = "13" }] }]', true],
    ['targets = [{ distros = [{ name = "debian" }] }]', true],
    ['targets = [{ distros = [{ name = "debian", version = "12" }] }]', false],
    ['targets = [{ distros = [{ name = "debian", version = "12" }, { version = "13" }] }]', true],
    ['targets = [{ arch = "arm64", distros = [{ name = "debian" }] }]', false],
    ['stacks = [{ id = "*" }]', true],
    ['stacks = [{ id = "*" }]\ntargets = [{ os = "windows" }]', true],
    ['stacks = [{ id = "io.buildpacks.stacks.bionic" }]', false],
    ['stacks = [{ id = "some.other.stack" }]', true],
  ])('Debian on amd64 satisfies %j: %j', (targets, expected) => expect(matches(targets, debian)).toBe(expected))

  it('means Linux when it says nothing', () => expect(matches('', { os: 'windows', arch: 'amd64' })).toBe(false))
  it('translates the bionic stack', () => {
    const bionic: Target = { os: 'linux', arch: 'amd64', distro: { name: 'ubuntu', version: '18.04' } }
    const stacks = 'stacks = [{ id = "io.buildpacks.stacks.bionic" }]'
    expect(matches(stacks, bionic)).toBe(true)
    expect(matches(stacks, { ...bionic, arch: 'arm64' })).toBe(false)
  })
  it('compares variants where both sides have one', () => {
    const v7 = 'targets = [{ os = "linux", arch = "arm", variant = "v7" }]'
    expect(matches(v7, { os: 'linux', arch: 'arm' })).toBe(true)
    expect(matches(v7, { os: 'linux', arch: 'arm', variant: 'v7' })).toBe(true)
    expect(matches(v7, { os: 'linux', arch: 'arm', variant: 'v6' })).toBe(false)
  })
})

describe('a target in words and variables', () => {
  const full: Target = { os: 'linux', arch: 'arm64', variant: 'v8', distro: { name: 'debian', version: '13' } }
  it('is described', () => {
    expect(describeTarget(full)).toBe('linux/arm64/v8, debian 13')
    expect(describeTarget({ os: 'linux', arch: 'amd64' })).toBe('linux/amd64')
    expect(describeTarget({ os: 'linux', arch: 'amd64', distro: { name: 'arch', version: '' } })).toBe(
      'linux/amd64, arch',
    )
  })
  it('sets only what is known', () => {
    expect(targetEnv(full)).toEqual({
      CNB_TARGET_OS: 'linux',
      CNB_TARGET_ARCH: 'arm64',
      CNB_TARGET_ARCH_VARIANT: 'v8',
      CNB_TARGET_DISTRO_NAME: 'debian',
      CNB_TARGET_DISTRO_VERSION: '13',
    })
    expect(targetEnv({ os: 'linux', arch: 'amd64', distro: { name: 'arch', version: '' } })).toEqual({
      CNB_TARGET_OS: 'linux',
      CNB_TARGET_ARCH: 'amd64',
      CNB_TARGET_DISTRO_NAME: 'arch',
    })
  })
})
