import { readFile, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { supportedPlatformApis } from '../../../lifecycle/spec/api.ts'
import { type Tree, writeTree } from '../../helpers/tree.ts'
import { buildpack } from '../../phases/harness.ts'
import { place, runBinary } from './run.ts'

// The two binaries that run buildpacks, as platform.md has them.

const pack = (id: string, scripts: Parameters<typeof buildpack>[1] = {}): Tree =>
  Object.fromEntries(Object.entries(buildpack(id, scripts)).map(([path, e]) => [`cnb/${path}`, e]))
const group = (...ids: string[]): string =>
  `[[order]]\n${ids.map(id => `[[order.group]]\nid = "${id}"\nversion = "1.0.0"\n`).join('')}`
const grouped = (...ids: string[]): string =>
  ids.map(id => `[[group]]\nid = "${id}"\nversion = "1.0.0"\napi = "0.12"\n`).join('')
const analyzed =
  '[run-image]\nreference = "r.io/run"\n[run-image.target]\nos = "linux"\narch = "s390x"\n[run-image.target.distro]\nname = "alpine"\nversion = "3.20"\n'

describe('detector', () => {
  const provides = `printf '[[provides]]\\nname = "x"\\n[[requires]]\\nname = "x"\\n' > "$2"`

  it('writes the group and the plan, with id, version and api of each buildpack', async () => {
    const at = await place({
      'cnb/order.toml': group('no') + group('a/b', 'c'),
      ...pack('no', { detect: 'exit 100' }),
      ...pack('a/b', { detect: provides, toml: 'homepage = "https://a.b"\n' }),
      ...pack('c', { api: '0.9' }),
    })
    const { code, output } = await runBinary('detector', at)
    expect(code, output).toBe(0)
    expect(await readFile(join(at.root, 'layers/group.toml'), 'utf8')).toBe(
      '[[group]]\nid = "a/b"\nversion = "1.0.0"\napi = "0.11"\nhomepage = "https://a.b"\n\n[[group]]\nid = "c"\nversion = "1.0.0"\napi = "0.9"\n',
    )
    expect(await readFile(join(at.root, 'layers/plan.toml'), 'utf8')).toBe(
      '[[entries]]\n\n[[entries.providers]]\nid = "a/b"\nversion = "1.0.0"\n\n[[entries.requires]]\nname = "x"\n',
    )
    expect(output).toContain('2 of 3 buildpacks participating')
  })

  it.each([
    ['20 when all fail', 'exit 100', 20],
    ['21 when one errs', 'exit 3', 21],
  ])('exits with %s', async (_what, detect, status) => {
    const at = await place({ 'cnb/order.toml': group('one'), ...pack('one', { detect }) })
    expect((await runBinary('detector', at)).code).toBe(status)
  })

  it('takes the command line before the environment, and a file of the layers before the builder’s order', async () => {
    const at = await place({
      'cnb/order.toml': group('none'),
      'layers/order.toml': group('one'),
      'other.toml': group('two'),
      ...pack('one'),
      ...pack('two'),
    })
    const written = () => readFile(join(at.root, 'layers/group.toml'), 'utf8')
    expect((await runBinary('detector', at, { more: { CNB_ORDER_PATH: undefined } })).code).toBe(0)
    expect(await written()).toContain('id = "one"')
    const args = ['-order', join(at.root, 'other.toml')]
    const more = { CNB_ORDER_PATH: join(at.root, 'layers/order.toml') }
    expect((await runBinary('detector', at, { args, more })).code).toBe(0)
    expect(await written()).toContain('id = "two"')
  })

  it.each(['0.10', '0.12', '0.15'])('tells buildpacks of the target in analyzed.toml: %s', async api => {
    const at = await place({
      'cnb/order.toml': group('one'),
      'layers/analyzed.toml': analyzed,
      ...pack('one', { detect: `echo "$CNB_TARGET_ARCH $CNB_TARGET_DISTRO_NAME" > "$CNB_PLATFORM_DIR/seen"` }),
    })
    expect((await runBinary('detector', at, { more: { CNB_PLATFORM_API: api } })).code).toBe(0)
    expect(await readFile(join(at.root, 'platform/seen'), 'utf8')).toBe('s390x alpine\n')
  })

  it('takes the distribution of the build image for one that the run image does not name', async () => {
    const at = await place({
      'cnb/order.toml': group('one'),
      'layers/analyzed.toml': '[run-image]\nreference = "r"\n[run-image.target]\nos = "linux"\narch = "s390x"\n',
      ...pack('one', { detect: `echo "$CNB_TARGET_ARCH $CNB_TARGET_DISTRO_NAME" > "$CNB_PLATFORM_DIR/seen"` }),
    })
    expect((await runBinary('detector', at)).code).toBe(0)
    const release = await readFile('/etc/os-release', 'utf8').catch(() => '')
    const own = /^ID="?([^"\n]*)/m.exec(release)?.[1] ?? ''
    expect(await readFile(join(at.root, 'platform/seen'), 'utf8')).toBe(`s390x ${own}\n`)
  })

  it.each(supportedPlatformApis)('puts the system’s buildpacks around each group from 0.15 on: %s', async api => {
    const at = await place({
      'cnb/order.toml': group('two'),
      'cnb/system.toml': [
        ...['one', 'two'].map(id => `[[system.pre.buildpacks]]\nid = "${id}"\nversion = "1.0.0"`),
        ...['three', 'two'].map(id => `[[system.post.buildpacks]]\nid = "${id}"\nversion = "1.0.0"`),
      ].join('\n'),
      ...pack('one'),
      ...pack('two'),
      ...pack('three'),
    })
    const { code } = await runBinary('detector', at, { more: { CNB_PLATFORM_API: api } })
    const ids = [...(await readFile(join(at.root, 'layers/group.toml'), 'utf8')).matchAll(/id = "(\w+)"/g)]
    expect([code, ...ids.map(m => m[1])]).toEqual([0, ...(api === '0.15' ? ['one', 'two', 'three'] : ['two'])])
  })

  it('leaves out what is for other execution environments, and goes on to the next group', async () => {
    const only = (name: string): string => `[[buildpack.exec-env]]\nname = "${name}"\n`
    const at = await place({
      'cnb/order.toml': group('test-only') + group('any', 'prod-only'),
      ...pack('test-only', { api: '0.12', toml: only('test') }),
      ...pack('prod-only', { api: '0.12', toml: only('production') }),
      ...pack('any', { api: '0.12', detect: 'echo "$CNB_EXEC_ENV" > "$CNB_PLATFORM_DIR/seen"' }),
    })
    const ids = async (execEnv?: string): Promise<unknown[]> => {
      expect((await runBinary('detector', at, { more: { CNB_EXEC_ENV: execEnv } })).code).toBe(0)
      const text = await readFile(join(at.root, 'layers/group.toml'), 'utf8')
      return [...text.matchAll(/id = "([\w-]+)"/g)].map(m => m[1])
    }
    expect(await ids()).toEqual(['any', 'prod-only'])
    expect(await ids('test')).toEqual(['test-only'])
    expect(await ids('staging')).toEqual(['any'])
    expect(await readFile(join(at.root, 'platform/seen'), 'utf8')).toBe('staging\n')
  })

  it('an element of an order without a version is an error that names it', async () => {
    const without = '[[order]]\n[[order.group]]\nid = "one"\n'
    const composite = `api = "0.12"\n[buildpack]\nid = "two"\nversion = "1.0.0"\n${without}`
    const system = '[[system.pre.buildpacks]]\nid = "one"\n'
    const trees: readonly Tree[] = [
      { 'cnb/order.toml': without },
      { 'cnb/order.toml': group('two'), 'cnb/buildpacks/two/1.0.0/buildpack.toml': composite },
      { 'cnb/order.toml': group('two'), 'cnb/system.toml': system },
    ]
    for (const tree of trees) {
      const { code, output } = await runBinary('detector', await place({ ...pack('one'), ...pack('two'), ...tree }))
      expect([code, output]).toEqual([1, expect.stringMatching(/^ERROR: order: one; "" cannot be a version: .*\n$/)])
    }
  })

  const extensions = '[[order-extensions]]\n[[order-extensions.group]]\nid = "x"\nversion = "1.0.0"\n'
  it.each(['0.7', '0.9'])('does not know of image extensions at %s, passes them over, and says so', async api => {
    const at = await place({ 'cnb/order.toml': group('one') + extensions, ...pack('one') })
    const { code, output } = await runBinary('detector', at, { more: { CNB_PLATFORM_API: api } })
    expect([code, output]).toEqual([0, expect.stringContaining('The image extensions of the order are ignored')])
  })
})

describe('builder', () => {
  const process = (type: string, more = ''): string =>
    `printf '[[processes]]\\ntype = "${type}"\\ncommand = ["run", "always"]\\nargs = ["a"]\\n${more}' >> "$1/launch.toml"`

  it('runs the group in its order and gathers all in metadata.toml', async () => {
    const at = await place({
      'layers/group.toml': grouped('z/first', 'second'),
      'layers/plan.toml': '',
      ...pack('z/first', {
        api: '0.12',
        build: `${process('web', 'default = true\\n')}; ${process('job', 'exec-env = ["test"]\\n')}`,
      }),
      ...pack('second', {
        api: '0.12',
        build: `printf '[[slices]]\\npaths = ["a"]\\n' > "$1/launch.toml"; ${process('worker')}`,
      }),
    })
    const { code, output } = await runBinary('builder', at)
    expect(code, output).toBe(0)
    const metadata = await readFile(join(at.root, 'layers/config/metadata.toml'), 'utf8')
    expect(metadata).toMatch(/^buildpack-default-process-type = "web"\n/)
    const ids = [...metadata.matchAll(/^id = "(.*)"\nversion = "1.0.0"\napi = "0.12"$/gm)].map(m => m[1])
    expect(ids).toEqual(['z/first', 'second'])
    const processes = [...metadata.matchAll(/^type = "(.*)"\ncommand = \[ ?"run", "always" ?\]/gm)].map(m => m[1])
    expect(processes).toEqual(['job', 'web', 'worker'])
    expect([...metadata.matchAll(/^exec-env = \[ ?"(.*?)" ?\]$/gm)].map(m => m[1])).toEqual(['test', '*', '*'])
    expect(metadata).toMatch(/\[\[slices\]\]\npaths = \[ ?"a" ?\]/)
  })

  it('exits with 51 when a bin/build fails, and writes no metadata', async () => {
    const at = await place({
      'layers/group.toml': grouped('one'),
      'layers/plan.toml': '',
      ...pack('one', { build: 'exit 3' }),
    })
    expect((await runBinary('builder', at)).code).toBe(51)
    expect(await readFile(join(at.root, 'layers/config/metadata.toml'), 'utf8').catch(() => 'none')).toBe('none')
  })

  it('tells buildpacks of the target in analyzed.toml', async () => {
    const at = await place({
      'layers/group.toml': grouped('one'),
      'layers/plan.toml': '',
      'layers/analyzed.toml': analyzed,
      ...pack('one', { build: `echo "$CNB_TARGET_ARCH $CNB_TARGET_DISTRO_NAME" > "$CNB_PLATFORM_DIR/seen"` }),
    })
    expect((await runBinary('builder', at)).code).toBe(0)
    expect(await readFile(join(at.root, 'platform/seen'), 'utf8')).toBe('s390x alpine\n')
  })

  it.each(['0.10', '0.11'])(
    'gives the user’s and, from 0.11 on, the operator’s variables to buildpacks: %s',
    async api => {
      const at = await place({
        'layers/group.toml': grouped('one'),
        'layers/plan.toml': '',
        'platform/env/USERS': 'user',
        'platform/env/BOTH': 'user',
        'cnb/build-config/env/BOTH': 'operator',
        'cnb/build-config/env/PLAIN': 'operator',
        'cnb/build-config/env/PATH.append': ':/operator',
        ...pack('one', { build: 'echo "$USERS $BOTH $PLAIN ${PATH##*:} $SECRET $HOME" > "$CNB_PLATFORM_DIR/seen"' }),
      })
      const more = { CNB_PLATFORM_API: api, SECRET: 'hunter2' }
      expect((await runBinary('builder', at, { more })).code).toBe(0)
      const last = (at.env['PATH'] as string).split(':').at(-1) as string
      expect(await readFile(join(at.root, 'platform/seen'), 'utf8')).toBe(
        api === '0.10' ? `user user  ${last}  ${at.root}\n` : `user user operator /operator  ${at.root}\n`,
      )
    },
  )
})

describe('both', () => {
  it.each(['detector', 'builder'])('%s refuses to run as root', async binary => {
    const { code, output } = await runBinary(binary, await place({}), { uid: 0 })
    expect([code, output]).toEqual([1, expect.stringContaining(`refusing to run ${binary} as root`)])
  })

  it('K14 K15 keep registry credentials from buildpacks', async () => {
    const at = await place({
      'cnb/order.toml': group('one'),
      'layers/plan.toml': '',
      ...pack('one', { detect: 'env > "$CNB_PLATFORM_DIR/seen-1"', build: 'env > "$CNB_PLATFORM_DIR/seen-2"' }),
    })
    expect((await runBinary('detector', at)).code).toBe(0)
    expect((await runBinary('builder', at)).code).toBe(0)
    for (const file of ['seen-1', 'seen-2']) {
      const env = await readFile(join(at.root, 'platform', file), 'utf8')
      expect(env).not.toMatch(/CNB_REGISTRY_AUTH|c2VjcmV0/)
    }
  })

  it.each(['platform/env', 'cnb/build-config/env'])('do not take %s for empty when it cannot be read', async dir => {
    for (const binary of ['detector', 'builder']) {
      const at = await place({ 'cnb/order.toml': group('one'), 'layers/plan.toml': '', ...pack('one', {}) })
      if (binary === 'builder') await writeTree(at.root, { 'layers/group.toml': grouped('one') })
      await rm(join(at.root, dir), { recursive: true })
      await symlink('env', join(at.root, dir))
      const { code, output } = await runBinary(binary, at)
      expect([code, output]).toEqual([1, expect.stringContaining(`ERROR: ${join(at.root, dir)}; `)])
      await rm(join(at.root, dir))
      expect((await runBinary(binary, at)).code, 'but it need not be there').toBe(0)
    }
  })

  it('say that the app directory is not there, rather than the program in it', async () => {
    const at = await place({ 'cnb/order.toml': group('one'), ...pack('one', {}) })
    const gone = join(at.root, 'gone')
    const { code, output } = await runBinary('detector', at, { more: { CNB_APP_DIR: gone } })
    expect([code, output]).toEqual([21, expect.stringContaining(`ERROR: ${gone}; `)])
  })

  it.each(supportedPlatformApis)('build an app one after the other at Platform API %s', async api => {
    const at = await place({ 'cnb/order.toml': group('one'), ...pack('one', { build: ': > "$1/../built"' }) })
    const more = { CNB_PLATFORM_API: api }
    expect((await runBinary('detector', at, { more })).code).toBe(0)
    expect((await runBinary('builder', at, { more })).code).toBe(0)
    expect(await readFile(join(at.root, 'layers/built'), 'utf8')).toBe('')
  })
})
