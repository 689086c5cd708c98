import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { findAccount } from '../../lifecycle/engines/accounts.ts'
import { phaseExitStatus } from '../../lifecycle/engines/exit.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const passwd =
  'root:x:0:0:root:/root:/bin/sh\napp:x:1001:1000::/home/app:/bin/sh\n77:x:5:6::/digits:\nbroken:x:-1:0::/:\nshort\n'
const group = 'root:x:0:\ncnb:x:1000:app\n'

async function image(files: Record<string, string> = { passwd, group }): Promise<string> {
  const dir = await temporaryDirectory()
  await mkdir(join(dir, 'etc'))
  for (const [name, content] of Object.entries(files)) await writeFile(join(dir, 'etc', name), content)
  return dir
}

describe("the user of an image's configuration", () => {
  it.each([
    ['', { uid: 0, gid: 0, home: '/root' }],
    ['app', { uid: 1001, gid: 1000, home: '/home/app' }],
    ['1001', { uid: 1001, gid: 1000, home: '/home/app' }],
    ['app:', { uid: 1001, gid: 1000, home: '/home/app' }],
    ['app:0', { uid: 1001, gid: 0, home: '/home/app' }],
    ['app:cnb', { uid: 1001, gid: 1000, home: '/home/app' }],
    ['4000', { uid: 4000, gid: 0, home: '/' }],
    ['4000:cnb', { uid: 4000, gid: 1000, home: '/' }],
    ['4294967294:5', { uid: 4294967294, gid: 5, home: '/' }],
    ['77', { uid: 5, gid: 6, home: '/digits' }],
  ])('%j', async (user, account) => expect(await findAccount(await image(), user)).toEqual(account))

  it.each(['nobody', 'app:nogroup', 'broken', '-1', '4294967295', '99999999999', 'short', '0x10'])(
    '%j is unknown',
    async user => {
      const dir = await image()
      const error = await failureOf(findAccount(dir, user))
      expect(error).toMatchObject({
        code: 'input',
        where: expect.stringMatching(`^${dir}/etc/(passwd|group)$`) as string,
      })
    },
  )

  it('needs no files for ids', async () => {
    const dir = await temporaryDirectory()
    expect(await findAccount(dir, '')).toEqual({ uid: 0, gid: 0, home: '/' })
    expect(await findAccount(dir, '12:34')).toEqual({ uid: 12, gid: 34, home: '/' })
    expect(await failureOf(findAccount(dir, 'app'))).toMatchObject({ code: 'input' })
  })

  it('is looked up through no links', async () => {
    const outside = await image()
    const inside = await image({ group })
    await symlink(join(outside, 'etc/passwd'), join(inside, 'etc/passwd'))
    expect(await failureOf(findAccount(inside, 'app'))).toMatchObject({
      code: 'input',
      where: join(inside, 'etc/passwd'),
    })
    const dir = await temporaryDirectory()
    await symlink(join(outside, 'etc'), join(dir, 'etc'))
    expect(await failureOf(findAccount(dir, 'app'))).toMatchObject({ code: 'input' })
  })
})

describe('the exit status of a program behind another', () => {
  it.each([
    [0, { code: 0 }],
    [1, { code: 1 }],
    [127, { code: 127 }],
    [128, { code: 128 }],
    [137, { signal: 'SIGKILL' }],
    [143, { signal: 'SIGTERM' }],
    [159, { signal: 'SIGSYS' }],
    [255, { code: 255 }],
  ])('%i', (code, status) => expect(phaseExitStatus(code)).toEqual(status))
})
