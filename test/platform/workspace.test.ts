import { chownSync, lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openWorkspace, requireAppPath, writePlatformEnv } from '../../lifecycle/platform/workspace.ts'
import { failureOf } from '../helpers/failure.ts'
import { skip } from '../helpers/skip.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

describe('the place of the application', () => {
  it.each(['/app', '/home/app', '/srv/my app', '/usr/src/app', '/var/www', '/workspace'])('may be %s', path => {
    expect(requireAppPath(path)).toBe(path)
  })

  it.each([
    ...['', 'app', './app', '/', '/app/', '//app', '/a/../etc', '/a/./b', '/a\0b', '/a\nb', '/a:b'],
    ...[
      '/etc',
      '/etc/x',
      '/cnb',
      '/layers/x',
      '/platform',
      '/proc/1',
      '/dev/shm',
      '/tmp/x',
      '/usr',
      '/home',
      '/home/cnb',
      '/bin/x',
    ],
  ])('X18 may not be %j', path => {
    expect(() => requireAppPath(path)).toThrow(
      expect.objectContaining({ code: 'arguments', where: `--workspace ${JSON.stringify(path)}` }) as Error,
    )
  })
})

describe('openWorkspace', () => {
  it('is gone after the build', async () => {
    const cache = await temporaryDirectory()
    {
      await using workspace = await openWorkspace(cache)
      expect(readdirSync(join(cache, 'work'))).toHaveLength(1)
      await writePlatformEnv(workspace.platform, { BP_X: 'a\nb' })
    }
    expect(readdirSync(join(cache, 'work'))).toEqual([])
  })

  it('C18 X44 makes a cache directory that nobody else can enter, whatever the umask, and refuses another user’s', async context => {
    const cache = join(await temporaryDirectory(), 'a', 'cache')
    const umask = process.umask(0)
    try {
      await using _workspace = await openWorkspace(cache)
    } finally {
      process.umask(umask)
    }
    expect(lstatSync(cache).mode & 0o777).toBe(0o700)
    if (process.geteuid?.() !== 0) return skip(context, 'only root can give a directory away')
    chownSync(cache, 12_345, 12_345)
    expect(await failureOf(openWorkspace(cache))).toMatchObject({ code: 'filesystem', where: cache })
  })

  it.each([
    ['E05', { 'A=B': 'x' }],
    ['E01', { A: 'x\0y' }],
  ])('%s a variable that no environment can hold is refused', async (_case, env) => {
    const cache = await temporaryDirectory()
    await using workspace = await openWorkspace(cache)
    expect(await failureOf(writePlatformEnv(workspace.platform, env))).toMatchObject({ code: 'arguments' })
  })
})
