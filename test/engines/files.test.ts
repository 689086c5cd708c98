import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Mount } from '../../lifecycle/engines/engine.ts'
import { checkPath, orderMounts } from '../../lifecycle/engines/mounts.ts'
import { layOutRoot } from '../../lifecycle/engines/root.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

/** Content by path; `-> x` is a link, a path with a slash at its end is a directory. */
async function plant(tree: Record<string, string>): Promise<string> {
  const dir = await temporaryDirectory()
  for (const [path, content] of Object.entries(tree)) {
    await mkdir(join(dir, dirname(path)), { recursive: true })
    if (path.endsWith('/')) await mkdir(join(dir, path), { recursive: true })
    else if (content.startsWith('-> ')) await symlink(content.slice(3), join(dir, path))
    else await writeFile(join(dir, path), content)
  }
  return dir
}

/** The options, a line each and without the directory of the test. */
async function laidOut(tree: Record<string, string>, points: readonly string[]): Promise<string[]> {
  const dir = await plant(tree)
  const options = (await layOutRoot(dir, points)).join(' ').replaceAll(dir, 'R')
  return options.split(/ (?=--)/).toSorted()
}

describe('laying out a read-only root', () => {
  it('binds directories and files, and makes the links anew', async () => {
    expect(await laidOut({ '/usr/bin/': '', '/bin': '-> usr/bin', '/file': 'x' }, [])).toEqual([
      '--ro-bind R/file /file',
      '--ro-bind R/usr /usr',
      '--symlink usr/bin /bin',
    ])
  })

  it('leaves out what is mounted over, whatever it is', async () => {
    const tree = { '/layers/x': '', '/proc': '-> /etc', '/cnb': 'a file', '/usr/': '' }
    expect(await laidOut(tree, ['/layers', '/proc', '/cnb', '/new'])).toEqual(['--ro-bind R/usr /usr'])
  })

  it('binds a directory whole that has all places, and lays out one that has not', async () => {
    const tree = { '/etc/hosts': '', '/etc/ssl/certs/': '', '/cnb/lifecycle/': '', '/cnb/x': '', '/cnb/y/': '' }
    expect(await laidOut(tree, ['/etc/hosts', '/etc/ssl/certs', '/cnb/lifecycle', '/cnb/new/deep'])).toEqual([
      '--dir /cnb',
      '--ro-bind R/cnb/x /cnb/x',
      '--ro-bind R/cnb/y /cnb/y',
      '--ro-bind R/etc /etc',
    ])
  })

  it('lays out only what it must', async () => {
    const tree = { '/var/lib/a': '', '/var/cache/b/c': '', '/var/cache/d': '' }
    expect(await laidOut(tree, ['/var/cache/b/new'])).toEqual([
      '--dir /var',
      '--dir /var/cache',
      '--dir /var/cache/b',
      '--ro-bind R/var/cache/b/c /var/cache/b/c',
      '--ro-bind R/var/cache/d /var/cache/d',
      '--ro-bind R/var/lib /var/lib',
    ])
  })

  it('X19 replaces a link where something is mounted', async () => {
    expect(await laidOut({ '/etc/resolv.conf': '-> ../run/x', '/etc/a': '' }, ['/etc/resolv.conf'])).toEqual([
      '--dir /etc',
      '--ro-bind R/etc/a /etc/a',
    ])
  })

  it.each([
    ['/cnb/x', { '/cnb': '-> /oldroot/home' }, 'cnb'],
    ['/a/b/c', { '/a/b': '-> ..' }, 'a/b'],
  ])('X19 follows no link on the way to %s', async (point, tree, where) => {
    const dir = await plant(tree)
    const error = await failureOf(layOutRoot(dir, [point]))
    expect(error).toMatchObject({ code: 'engine', where: join(dir, where) })
  })

  it('says that there is no root', async () => {
    expect(await failureOf(layOutRoot('/does/not/exist', []))).toMatchObject({
      code: 'engine',
      where: '/does/not/exist',
    })
  })
})

describe('the order of mounts', () => {
  const mount = (hostPath: string, path: string, access: Mount['access'] = 'read-only'): Mount => ({
    hostPath,
    path,
    access,
  })

  it('has the outer ones first', async () => {
    const dir = await plant({ '/lifecycle/node': '', '/buildpacks/a/1/': '' })
    const mounts = [
      mount('/x', '/cnb/lifecycle/node'),
      mount('/x', '/cnb/buildpacks/a/1'),
      mount(dir, '/cnb-b'),
      mount(join(dir, 'lifecycle'), '/cnb/lifecycle'),
      mount(dir, '/cnb'),
    ]
    const paths = (await orderMounts(mounts)).map(({ path }) => path)
    expect(paths.indexOf('/cnb')).toBeLessThan(paths.indexOf('/cnb/lifecycle'))
    expect(paths.indexOf('/cnb/lifecycle')).toBeLessThan(paths.indexOf('/cnb/lifecycle/node'))
    expect(paths.indexOf('/cnb')).toBeLessThan(paths.indexOf('/cnb/buildpacks/a/1'))
    expect(await readdir(dir)).toEqual(['buildpacks', 'lifecycle'])
  })

  it('is not asked for what has no place, and says what to make', async () => {
    const dir = await plant({ '/x/': '' })
    const error = await failureOf(orderMounts([mount(dir, '/cnb'), mount('/y', '/cnb/lifecycle')]))
    expect(error).toMatchObject({
      code: 'engine',
      where: '/cnb/lifecycle in /cnb',
      fix: `make ${join(dir, 'lifecycle')} first`,
    })
  })

  it('X19 goes through no link of an outer mount', async () => {
    const dir = await plant({ '/lifecycle': '-> /etc', '/way': '-> /etc' })
    for (const path of ['/cnb/lifecycle', '/cnb/way/x']) {
      expect(await failureOf(orderMounts([mount(dir, '/cnb'), mount('/y', path)]))).toMatchObject({ code: 'engine' })
    }
  })

  it('tells siblings from what is inside', async () => {
    const mounts = [mount('/x', '/layers', 'read-write'), mount('/y', '/layers-other')]
    expect(await orderMounts(mounts)).toEqual(mounts)
  })
})

describe('X18 paths', () => {
  it.each(['/', '/a', '/a b/--bind', '/é', '/a\nb', '/..a'])('%j is plain', path => {
    expect(() => checkPath(path)).not.toThrow()
  })
  it.each(['', 'a', '--bind', '/a/', '//a', '/a//b', '/a/../b', '/..', '/./a', '/a\0b'])('%j is not', path => {
    expect(() => checkPath(path)).toThrow(expect.objectContaining({ code: 'engine' }))
  })
})
