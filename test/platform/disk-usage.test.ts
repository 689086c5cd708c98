import { chown, link, mkdir, readdir, symlink, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { directoryCache } from '../../lifecycle/caches/directory.ts'
import { appCache } from '../../lifecycle/platform/app-cache.ts'
import { diskUsage, prune } from '../../lifecycle/platform/disk-usage.ts'
import { parseAge, parseSize } from '../../lifecycle/cli/commands/cache.ts'
import { silent } from '../../lifecycle/events.ts'
import { leaseName } from '../../lifecycle/files/lease.ts'
import { memoryStore } from '../../lifecycle/stores/memory/store.ts'
import { fill, read } from '../contracts/caches.ts'
import { failureOf } from '../helpers/failure.ts'
import { noise, platform } from '../helpers/images.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { readTree, writeTree } from '../helpers/tree.ts'
import { asOrdinaryUser } from '../helpers/user.ts'

// The oracle: pruning deletes only kept files of ended builds. It follows no link, changes no other file, and does not disturb
// a running build.

const hour = 3600_000
const day = 24 * hour
const dead = (): string => leaseName().replace(/\.\d+(\.[0-9a-f]{12})$/, '.1$1')

/** An app's cache as a build of it leaves it, last used so long ago; the build may still run. */
async function build(cacheDir: string, app: string, { ago = 0, bytes = 100_000 } = {}) {
  const store = memoryStore()
  const identity = `store index.docker.io/library/${app}:latest`
  const destination = {
    sink: store,
    names: [app],
    displayNames: [app],
    identity,
    previous: { source: store, name: app },
  }
  const kept = await appCache(cacheDir, destination, { clear: false, platform, reporter: silent })
  const [own = ''] = (await readdir(join(cacheDir, 'apps'))).filter(name => name.includes(`-${app}-`))
  const dir = join(cacheDir, 'apps', own)
  const cache = directoryCache(dir)
  await fill(cache, { layer: { '/layers/a/file': noise(bytes, app) } })
  const used = new Date(Date.now() - ago)
  await utimes(join(dir, 'app'), used, used)
  return { cache, dir, [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose]() }
}

const names = async (dir: string): Promise<string[]> => (await diskUsage(dir)).map(item => item.name)
const nameOf = (app: string): string => `store index.docker.io/library/${app}:latest`

describe('what is kept', () => {
  it('is nothing at first', async () => {
    const dir = await temporaryDirectory()
    expect(await diskUsage(join(dir, 'none'))).toEqual([])
    expect(await prune(join(dir, 'none'), { all: true })).toEqual([])
    expect(await readdir(dir)).toEqual([])
  })

  it('has the app, size, parts and last use of each cache, the last one first', async () => {
    const dir = await temporaryDirectory()
    const running = await build(dir, 'new')
    const ended = await build(dir, 'old', { ago: 3 * day, bytes: 500_000 })
    await ended[Symbol.asyncDispose]()
    await writeTree(ended.dir, { 'trees/x/file': 'x'.repeat(9000), 'blocks-of-tomorrow/file': 'x' })
    const [first, second] = await diskUsage(dir)
    expect(first).toMatchObject({ kind: 'app', name: nameOf('new'), path: running.dir, inUse: true })
    expect(second).toMatchObject({ kind: 'app', name: nameOf('old'), inUse: false })
    expect(second!.bytes).toBeGreaterThan(500_000)
    expect(second!.bytes).toBeLessThan(700_000)
    expect(second!.parts[0]!.name).toBe('committed')
    expect(second!.parts.map(part => part.name)).toEqual(expect.arrayContaining(['trees', 'blocks-of-tomorrow']))
    expect(Math.abs(Date.now() - 3 * day - second!.lastUsed.getTime())).toBeLessThan(hour)
  })

  it('has unpacked images, what builds work with, and what is unknown', async () => {
    const dir = await temporaryDirectory()
    await writeTree(dir, {
      [`unpacked/${'a'.repeat(64)}/etc/passwd`]: 'x',
      [`work/${leaseName()}/layers/file`]: 'x',
      'of-tomorrow/file': 'x',
    })
    const kept = await diskUsage(dir)
    expect(kept.map(k => [k.kind, k.inUse]).sort()).toEqual([
      ['image', false],
      ['other', false],
      ['temporary', true],
    ])
  })

  it('C13 follows no link to tell sizes, and counts a file with two names once', async () => {
    const dir = await temporaryDirectory()
    const { dir: app } = await build(dir, 'app')
    const before = (await diskUsage(dir))[0]!.bytes
    const [layer = ''] = (await readdir(join(app, 'committed'))).filter(name => name.endsWith('.tar'))
    await link(join(app, 'committed', layer), join(app, 'committed', 'again'))
    await symlink('/usr', join(app, 'committed', 'usr'))
    expect((await diskUsage(dir))[0]!.bytes).toBeLessThan(before + 20_000)
  })
})

describe('pruning', () => {
  async function three(): Promise<string> {
    const dir = await temporaryDirectory()
    for (const [app, ago] of Object.entries({ new: hour, week: 7 * day, month: 40 * day })) {
      const kept = await build(dir, app, { ago, bytes: 300_000 })
      await kept[Symbol.asyncDispose]()
    }
    return dir
  }

  it.each([
    ['by age', { olderThan: 30 * day }, ['new', 'week']],
    ['by a lesser age', { olderThan: day }, ['new']],
    ['by size', { keepBytes: 800_000 }, ['new', 'week']],
    ['by a lesser size', { keepBytes: 1000 }, []],
    ['by both', { olderThan: 30 * day, keepBytes: 500_000 }, ['new']],
    ['all', { all: true }, []],
    ['by no rule', {}, ['new', 'week', 'month']],
  ])('goes %s', async (_how, rule, left) => {
    const dir = await three()
    const removed = await prune(dir, rule)
    expect(await names(dir)).toEqual(left.map(nameOf))
    expect(removed).toHaveLength(3 - left.length)
    expect(await readdir(join(dir, 'work')).catch(() => [])).toEqual([])
  })

  it('C09 leaves alone what a running build uses, which goes on', async () => {
    const dir = await temporaryDirectory()
    const running = await build(dir, 'running', { ago: 90 * day })
    await writeTree(dir, { [`work/${leaseName()}/layers/file`]: 'x' })
    expect(await prune(dir, { all: true })).toEqual([])
    expect(await read(running.cache, { '/layers/a/file': noise(100_000, 'running') })).toBeDefined()
    await running[Symbol.asyncDispose]()
    expect(await prune(dir, { all: true })).toHaveLength(1)
    // It was taken away in between: the next build starts from nothing, and that is all.
    expect(await running.cache.metadata()).toBeUndefined()
    await fill(running.cache, { layer: { '/layers/a/file': 'again' } })
  })

  it('C10 takes a build for ended whose process is gone, and removes what it left', async () => {
    const dir = await temporaryDirectory()
    const kept = await build(dir, 'killed', { ago: hour })
    await kept[Symbol.asyncDispose]()
    await writeTree(dir, { [`work/${dead()}/layers/file`]: 'x', [`unpacked/.run-${dead()}/x`]: 'x' })
    await writeFile(join(kept.dir, 'users', dead()), '')
    const removed = await prune(dir, { olderThan: day })
    expect(removed.map(item => item.kind)).toEqual(['temporary', 'temporary'])
    expect(await prune(dir, { all: true })).toHaveLength(1)
  })

  it.runIf(process.geteuid?.() === 0)('X34 goes on after an entry that cannot be removed, and names it', async () => {
    const dir = await temporaryDirectory()
    const entries = ['a', 'b', 'c'].map(name => `work/${dead()}/${name}`)
    await writeTree(dir, Object.fromEntries(entries.map(path => [`${path}/file`, ''])))
    for (const path of ['', 'work', ...entries.map(path => dirname(path))]) await chown(join(dir, path), 65_534, 65_534)
    await chown(join(dir, entries[0] as string), 65_534, 65_534)
    await chown(join(dir, entries[2] as string), 65_534, 65_534)
    const error = await asOrdinaryUser(() => failureOf(prune(dir, {})))
    expect(error).toMatchObject({ code: 'filesystem', where: expect.stringMatching(/\/b\/file$/) as string })
    const left = await readdir(join(dir, 'work'))
    expect(left).toHaveLength(1)
    expect(await readdir(join(dir, 'work', left[0] as string))).toEqual(['b'])
  })

  it('keeps what another version may need, unless all is to go', async () => {
    const dir = await temporaryDirectory()
    await writeTree(dir, { 'of-tomorrow/file': 'x' })
    await utimes(join(dir, 'of-tomorrow'), 1, 1)
    expect(await prune(dir, { olderThan: 0, keepBytes: 0 })).toEqual([])
    expect(await prune(dir, { all: true })).toHaveLength(1)
  })

  it('X22 T06 deletes nothing through a link, and nothing beside', async () => {
    const dir = await temporaryDirectory()
    await writeTree(dir, { 'canary/file': 'canary' })
    await mkdir(join(dir, 'cache/apps'), { recursive: true })
    await symlink(join(dir, 'canary'), join(dir, 'cache/apps/app-0'))
    await writeTree(dir, { 'cache/apps/app-1/committed/link': { link: join(dir, 'canary') } })
    expect(await prune(join(dir, 'cache'), { all: true })).toHaveLength(2)
    expect(await readTree(join(dir, 'canary'))).toEqual({ file: 'canary' })
    expect(await readdir(join(dir, 'cache/apps'))).toEqual([])
  })
})

describe('ages and sizes', () => {
  it('are read as people write them', () => {
    expect(['90m', '12h', '30d', '2w'].map(parseAge)).toEqual([1.5 * hour, 12 * hour, 30 * day, 14 * day])
    expect(['1000', '500MB', '10GB', '1.5GiB', '2 k', '1TB'].map(text => parseSize(text))).toEqual([
      1000,
      5e8,
      1e10,
      1.5 * 2 ** 30,
      2000,
      1e12,
    ])
  })
  it.each(['', '30', '-1d', '1y', 'd'])('%j is not an age', text =>
    expect(() => parseAge(text)).toThrow('is not an age'),
  )
  it.each(['', 'GB', '-1GB', '1e9', '1PB', '1iB'])('%j is not a size', text =>
    expect(() => parseSize(text)).toThrow('is not a size'),
  )
})
