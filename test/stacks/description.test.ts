import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { BaleError } from '../../lifecycle/errors.ts'
import { configFor } from '../../lifecycle/stacks/image-config.ts'
import { parseDescription, readDescription } from '../../lifecycle/stacks/description.ts'

const trixie = resolve(import.meta.dirname, '../../stacks/trixie')
const text = await readFile(`${trixie}/stack.toml`, 'utf8')

it('reads the stack that comes with Bale', async () => {
  const stack = await readDescription(trixie)
  expect(stack).toMatchObject({ id: 'io.bale.stacks.trixie', debian: { suite: 'trixie', components: ['main'] } })
  expect(stack.debian.epoch.toISOString()).toBe('2025-08-09T00:00:00.000Z')
  expect(stack.run.packages).toContain('bash')
  expect(stack.build.user.id).not.toBe(stack.run.user.id)
})

it.each([
  ['id = "io.bale.stacks.trixie"', 'id = "io bale"', /id "io bale" is not a stack id/],
  [
    '"curl"',
    '"curl,-oDPkg::Pre-Invoke=x"',
    /^stack\.toml:\d+ build\.packages\.\d+ .* is not the name of a Debian package/,
  ],
  ['suite = "trixie"', 'suite = "--hook-dir=/tmp"', /debian\.suite .* is not the name of a Debian release/],
  ['name = "app"', 'name = "app:x"', /run\.user\.name .* is not a user or group name/],
  ['id = 1001', 'id = 0', /run\.user\.id/],
  ['id = 1001', 'id = 1000', /run\.user .*same user id/],
  ['[run]', '[run]\npackage = []', /run\.package/],
  ['[run]', '[run]\nonly = ["cowsay"]', /run\.only cowsay is listed to stay, but is not installed/],
  ['[run]', '[run', /stack\.toml/],
])('with %s replaced by %s, says where and what', (from, to, message) => {
  expect(text).toContain(from)
  try {
    parseDescription(text.replace(from, to), 'stack.toml')
    expect.unreachable()
  } catch (error) {
    expect(error).toBeInstanceOf(BaleError)
    const { where, message: what } = error as BaleError
    expect(`${where} ${what}`).toMatch(message)
  }
})

it('a folder without a stack.toml is an error that names one', async () => {
  await expect(readDescription('/nowhere')).rejects.toMatchObject({ code: 'input', where: '/nowhere/stack.toml' })
})

it('describes the images as platform.md asks', async () => {
  const stack = await readDescription(trixie)
  const contents = {
    arch: 'arm64',
    diffId: `sha256:${'a'.repeat(64)}` as const,
    osRelease: 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION_ID="13"\nID=debian\n',
    debianVersion: '13.7',
    released: new Date('2026-01-02T03:04:05Z'),
  }
  const [build, run] = (['build', 'run'] as const).map(kind => configFor(stack, kind, contents))
  expect(build).toMatchObject({ architecture: 'arm64', os: 'linux', variant: 'v8', created: '2026-01-02T03:04:05Z' })
  expect(build?.config).toMatchObject({ User: '1000:1000' })
  expect(build?.config?.Env).toEqual(
    expect.arrayContaining(['CNB_USER_ID=1000', 'CNB_GROUP_ID=1000', 'CNB_STACK_ID=io.bale.stacks.trixie']),
  )
  // Both are for one target, with PATH, and say what they are; neither user is root, and they are not the same.
  for (const image of [build, run]) {
    expect(image).toMatchObject({ os: 'linux', architecture: 'arm64', variant: 'v8' })
    expect(image?.config?.Env).toContain('PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin')
    expect(image?.config?.Labels).toMatchObject({
      'io.buildpacks.base.maintainer': stack.maintainer,
      'io.buildpacks.base.released': '2026-01-02T03:04:05Z',
      'io.buildpacks.base.distro.name': 'debian',
      'io.buildpacks.base.distro.version': '13',
      'io.buildpacks.stack.id': stack.id,
      'io.buildpacks.stack.mixins': '[]',
    })
    expect(image?.config?.Labels?.['io.buildpacks.base.description']).toMatch(/Debian/)
  }
  expect(stack.id).toMatch(/^[a-z]+\.[A-Za-z0-9./-]+$/)
  expect(run?.config?.User).toBe('1001:1000')
  expect(run?.config?.Env?.[0]).toMatch(/^PATH=.*\/usr\/bin/)
  expect(run?.config?.Labels).toMatchObject({
    'io.buildpacks.base.id': 'io.bale.stacks.trixie',
    'io.buildpacks.base.distro.name': 'debian',
    'io.buildpacks.base.distro.version': '13',
    'io.buildpacks.base.released': '2026-01-02T03:04:05Z',
    'io.buildpacks.rebasable': 'true',
  })
  expect(run?.history).toHaveLength(run?.rootfs.diff_ids.length ?? 0)
})
