import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { type ForwardInput, forwardSsh } from '../../../lifecycle/platform/ssh/forward.ts'
import { failureOf } from '../../helpers/failure.ts'
import { fakeAgent } from '../../helpers/fake-ssh-agent.ts'
import { type Available, suiteWith } from '../../helpers/skip.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { writeTree } from '../../helpers/tree.ts'
import { recorder } from '../../phases/harness.ts'

const run = promisify(execFile)

async function input(keys: ForwardInput['keys'], known = 'example.com ssh-ed25519 AAAA\n') {
  const dir = await temporaryDirectory()
  await writeTree(dir, { 'home/.ssh/known_hosts': known })
  const reporter = recorder()
  const place = { dir: join(dir, 'ssh'), path: join(dir, 'ssh') }
  return { keys, place, tmpDir: dir, environment: { HOME: join(dir, 'home') }, reporter }
}

describe('SSH for buildpacks', () => {
  it('has the known hosts of the user, and the variables that git and SSH clients read', async () => {
    const given = await input({ agent: (await fakeAgent()).socket })
    const ssh = await forwardSsh(given)
    const { dir } = given.place
    expect(await readFile(join(dir, 'known_hosts'), 'utf8')).toContain('example.com ssh-ed25519 AAAA\n')
    expect(ssh.variables['SSH_AUTH_SOCK']).toBe(join(dir, 'agent'))
    expect(ssh.variables['GIT_SSH_COMMAND']).toContain(`UserKnownHostsFile=${dir}/known_hosts`)
    expect(existsSync(join(dir, 'agent'))).toBe(true)
    await ssh[Symbol.asyncDispose]()
    expect(existsSync(join(dir, 'agent'))).toBe(false)
    expect(given.reporter.events).toEqual([])
  })

  it('warns about an agent without keys, and about a user without known hosts', async () => {
    const given = await input({ agent: (await fakeAgent(0)).socket }, '')
    await using _ssh = await forwardSsh(given)
    const texts = given.reporter.events.map(event => ('text' in event ? event.text : ''))
    expect(texts[0]).toBe('the SSH agent has no keys')
    if (!existsSync('/etc/ssh/ssh_known_hosts')) expect(texts[1]).toContain('SSH will refuse every server')
  })
})

async function findOpenSsh(): Promise<Available<undefined>> {
  const found = await run('sh', ['-c', 'command -v ssh-agent ssh-add ssh-keygen']).then(
    () => true,
    () => false,
  )
  return found
    ? { state: 'available', value: undefined }
    : { state: 'missing', reason: 'OpenSSH is not installed: apt-get install openssh-client' }
}

suiteWith('SSH keys in files', await findOpenSsh(), () => {
  async function makeKey(passphrase = ''): Promise<string> {
    const file = join(await temporaryDirectory(), 'key')
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', passphrase, '-C', 'deploy key', '-f', file])
    return file
  }
  const listed = async (socket: string) =>
    (await run('ssh-add', ['-l'], { env: { ...process.env, SSH_AUTH_SOCK: socket } })).stdout

  it('are in an agent that ends with the build', async () => {
    const given = await input({ files: [await makeKey(), await makeKey()] })
    const ssh = await forwardSsh(given)
    expect((await listed(join(given.place.dir, 'agent'))).match(/deploy key/g)).toHaveLength(2)
    await ssh[Symbol.asyncDispose]()
    const [keys = ''] = (await readdir(given.tmpDir)).filter(name => name.startsWith('keys-'))
    expect(await readdir(join(given.tmpDir, keys))).toEqual([])
  })

  it('may have Windows line ends, no newline at the end, and modes that let others read them, as CI systems write them', async () => {
    const file = await makeKey()
    const text = (await readFile(file, 'utf8')).trimEnd().replaceAll('\n', '\r\n')
    const copy = join(await temporaryDirectory(), 'copy')
    await writeFile(copy, text, { mode: 0o666 })
    const given = await input({ files: [copy] })
    await using _ssh = await forwardSsh(given)
    expect(await listed(join(given.place.dir, 'agent'))).toContain('ED25519')
  })

  it('may be in a directory whose path is too long for a socket', async () => {
    const given = await input({ files: [await makeKey()] })
    const deep = join(given.tmpDir, 'a'.repeat(120))
    await mkdir(deep)
    await using _ssh = await forwardSsh({ ...given, tmpDir: deep })
    expect(await listed(join(given.place.dir, 'agent'))).toContain('ED25519')
  })

  it.each([
    ['has a passphrase', () => makeKey('secret'), 'the SSH key has a passphrase'],
    ['is a public key', async () => `${await makeKey()}.pub`, 'this is not a private SSH key'],
    ['is not there', () => Promise.resolve('/nowhere/key'), 'the SSH key cannot be read: no such file or directory'],
  ])('are refused if one %s', async (_title, file, message) => {
    const path = await file()
    expect(await failureOf(forwardSsh(await input({ files: [path] })))).toMatchObject({ message, where: path })
  })
})
