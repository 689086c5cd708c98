import { chmod, chown, link, lstat, mkdir, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { PhaseCommand } from '../../../lifecycle/cli/phase/binary.ts'
import type { PhaseContext } from '../../../lifecycle/cli/phase/context.ts'
import { parseFlags } from '../../../lifecycle/cli/phase/flags.ts'
import { BuildSecrets } from '../../../lifecycle/phases/secrets.ts'
import { PhaseLog } from '../../../lifecycle/cli/phase/log.ts'
import { dropPrivileges } from '../../../lifecycle/cli/phase/privileges.ts'
import { requirePlatformApi } from '../../../lifecycle/spec/api.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { skip } from '../../helpers/skip.ts'

const root = { uid: 0, gid: 0 }
const asRoot = process.geteuid?.() === 0

/** Settles a binary that some user started with these flags; who it went on as, and in which order things happened. */
async function settled(
  user: { uid: number; gid: number },
  argv: readonly string[],
  {
    name = 'analyzer',
    owns = [],
    env = {},
    work,
  }: { name?: string; owns?: string[]; env?: Record<string, string>; work?: () => Promise<void> } = {},
): Promise<string[]> {
  const happened: string[] = []
  const context: PhaseContext = {
    inputs: parseFlags(['uid', 'gid', 'daemon'], argv, env),
    env,
    features: requirePlatformApi('0.15'),
    log: new PhaseLog(text => happened.push(text.trim())),
    secrets: new BuildSecrets([]),
    signal: new AbortController().signal,
    io: {
      write: () => {},
      user,
      signal: new AbortController().signal,
      become: ({ uid, gid }, groups) => happened.push(`become ${uid}:${gid} in ${groups.join(',')}`),
      program: binary => [`/cnb/lifecycle/${binary}`],
      supervisor: '/cnb/lifecycle/supervisor',
      landlock: '/nowhere/landlock',
    },
    resources: new AsyncDisposableStack(),
  }
  const images: PhaseCommand['images'] = {
    handOver: () => Promise.resolve(void happened.push('images')),
    daemonSocket: context.inputs.flag('daemon') ? env['DOCKER_HOST'] : undefined,
  }
  const finish = await dropPrivileges(name, { owns, images, run: () => Promise.resolve() }, context)
  await work?.()
  await finish()
  return happened
}

async function socketIn(dir: string, mode: number): Promise<string> {
  const path = join(dir, 'docker.sock')
  const server = createServer().listen(path)
  onTestFinished(() => void server.close())
  await new Promise(done => server.once('listening', done))
  await chmod(path, mode)
  return path
}

describe('a binary that root started', () => {
  it('opens what only root can, and goes on as the CNB user in no group of root’s', async () => {
    expect(await settled(root, ['-uid', '1000', '-gid', '1001'])).toEqual(['images', 'become 1000:1001 in 1001'])
  })

  it('takes the user from the build image’s environment', async () => {
    const env = { CNB_USER_ID: '1000', CNB_GROUP_ID: '1000' }
    expect(await settled(root, [], { env })).toEqual(['images', 'become 1000:1000 in 1000'])
  })

  it('stays root where no user is named, and as creator, which runs no buildpack itself', async () => {
    expect(await settled(root, [])).toEqual([])
    expect(await settled(root, ['-uid', '1000', '-gid', '1000'], { name: 'creator' })).toEqual([])
  })

  it('keeps the group that may talk to the daemon', async () => {
    const dir = await temporaryDirectory()
    const socket = await socketIn(dir, 0o660)
    const { gid } = await lstat(join(dir, 'docker.sock'))
    const groups = [...new Set([4321, gid])].join(',')
    expect(await settled(root, ['-uid', '1000', '-gid', '4321', '-daemon'], { env: { DOCKER_HOST: socket } })).toEqual([
      'images',
      `become 1000:4321 in ${groups}`,
    ])
  })

  it('stays root where nobody else may talk to the daemon', async () => {
    const socket = await socketIn(await temporaryDirectory(), 0o600)
    const env = { DOCKER_HOST: socket }
    expect(await settled(root, ['-uid', '1000', '-gid', '1000', '-daemon'], { env })).not.toContainEqual(
      expect.stringContaining('become'),
    )
  })

  it('gives the user the shared directories, follows no link and takes no second name (X22)', async context => {
    if (!asRoot) return skip(context, 'only root can give files away')
    const dir = await temporaryDirectory()
    const layers = join(dir, 'layers')
    await mkdir(join(layers, 'sub'), { recursive: true })
    await writeFile(join(layers, 'sub', 'file'), '')
    await writeFile(join(layers, 'other'), '')
    await chown(join(layers, 'other'), 2000, 2000)
    for (const canary of ['linked', 'named']) await writeFile(join(dir, canary), '')
    await symlink(join(dir, 'linked'), join(layers, 'link'))
    await link(join(dir, 'named'), join(layers, 'name'))
    await settled(root, ['-uid', '1000', '-gid', '1000'], { owns: [layers, join(dir, 'new')] })
    const uids = await Promise.all(
      ['layers', 'layers/sub', 'layers/sub/file', 'layers/link', 'new', 'layers/other', 'linked', 'named'].map(
        async path => (await lstat(join(dir, path))).uid,
      ),
    )
    expect(uids).toEqual([1000, 1000, 1000, 1000, 1000, 1000, 0, 0])
  })

  it('gives the user a volume of builders that had other users, whoever owns the top of it', async context => {
    if (!asRoot) return skip(context, 'only root can give files away')
    const dir = await temporaryDirectory()
    const cache = join(dir, 'cache')
    await mkdir(join(cache, 'committed'), { recursive: true })
    for (const [file, uid] of Object.entries({ old: 2000, third: 3000, roots: 0 })) {
      await writeFile(join(cache, 'committed', file), '')
      await chown(join(cache, 'committed', file), uid, uid)
    }
    await chown(join(cache, 'committed'), 2000, 2000)
    await chmod(cache, 0o755)
    const paths = ['cache', 'cache/committed', 'cache/committed/old', 'cache/committed/third', 'cache/committed/roots']
    for (const top of [0, 2000]) {
      await chown(cache, top, top)
      await settled(root, ['-uid', '1000', '-gid', '1000'], { owns: [cache] })
      const uids = await Promise.all(paths.map(async path => (await lstat(join(dir, path))).uid))
      expect(uids).toEqual([1000, 1000, 1000, 1000, 1000])
    }
  })

  it('that stays root gives what it has made to the user in the end', async context => {
    if (!asRoot) return skip(context, 'only root can give files away')
    const dir = await temporaryDirectory()
    const env = { DOCKER_HOST: await socketIn(dir, 0o600) }
    const layers = join(dir, 'layers')
    const work = () => mkdir(join(layers, 'made'))
    await settled(root, ['-uid', '1000', '-gid', '1000', '-daemon'], { owns: [layers], env, work })
    expect((await lstat(join(layers, 'made'))).uid).toBe(1000)
  })

  it('does not walk a directory that the user can write to', async context => {
    if (!asRoot) return skip(context, 'only root can give files away')
    const cache = join(await temporaryDirectory(), 'cache')
    await mkdir(cache)
    await chown(cache, 1000, 1000)
    await writeFile(join(cache, 'file'), '')
    await settled(root, ['-uid', '1000', '-gid', '1000'], { owns: [cache] })
    expect((await lstat(join(cache, 'file'))).uid).toBe(0)
  })

  it('says which directory it cannot give', async () => {
    const file = join(await temporaryDirectory(), 'file')
    await writeFile(file, '')
    await expect(
      settled(root, ['-uid', '1000', '-gid', '1000'], { owns: [join(file, 'layers')] }),
    ).rejects.toMatchObject({ code: 'failed', where: join(file, 'layers') })
  })
})

describe('a binary that an ordinary user started', () => {
  const user = { uid: 1000, gid: 1000 }

  it('stays that user', async () => {
    expect(await settled(user, [])).toEqual([])
    expect(await settled(user, ['-uid', '1000', '-gid', '1000'])).toEqual([])
  })

  it.each([
    ['-uid', '1001'],
    ['-gid', '0'],
  ])('cannot be told to be another: %s %s', async (...argv) => {
    await expect(settled(user, argv)).rejects.toMatchObject({ code: 'failed' })
  })
})
