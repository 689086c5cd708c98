import { spawnSync } from 'node:child_process'
import { chmodSync, closeSync, lstatSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { bubblewrapEngine } from '../../lifecycle/engines/bubblewrap.ts'
import { findBwrap } from '../../lifecycle/engines/bwrap.ts'
import { findHostUser, openAs } from '../../lifecycle/engines/host-user.ts'
import type { Places } from '../../lifecycle/engines/places.ts'
import { failureOf } from '../helpers/failure.ts'
import { asOrdinaryUser } from '../helpers/user.ts'
import { landlockProgram } from '../helpers/supervisor.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const isRoot = process.geteuid?.() === 0
const id = 1_900_000_001

/** A script of another user, to whom this directory of root's is shown as /mnt/0. */
async function run(script: string, ...more: string[]) {
  const dir = await temporaryDirectory()
  chmodSync(dir, 0o700)
  mkdirSync(join(dir, 'sub'))
  writeFileSync(join(dir, 'file'), 'mine', { mode: 0o600 })
  const fd = openSync(dir, 'r')
  const options = ['--user', String(id), '--places', '/mnt', '--place', '3', ...more]
  const argv = [...options, '/bin/sh', '-c', script, 'sh', dir]
  const ended = spawnSync(landlockProgram(), argv, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe', fd] })
  closeSync(fd)
  return { dir, ...ended }
}

describe.runIf(isRoot)('X51 another user, started by root', () => {
  it('has no groups and no capabilities, and what it is shown, as its own', async () => {
    const script = 'id -u; id -G; grep CapEff /proc/self/status; stat -c "%n %u %g" /mnt/0 /mnt/0/file; cat /mnt/0/file'
    const { stdout, stderr } = await run(script)
    expect(stderr).toBe('')
    const owned = ['/mnt/0', '/mnt/0/file'].map(path => `${path} ${id} ${id}\n`).join('')
    expect(stdout).toBe(`${id}\n${id}\nCapEff:\t0000000000000000\n${owned}mine`)
  })

  it('makes files that are root’s outside', async () => {
    const { dir, status } = await run('echo new > /mnt/0/sub/new && mkdir /mnt/0/made && chmod 700 /mnt/0/file')
    expect(status).toBe(0)
    for (const name of ['sub/new', 'made']) expect(lstatSync(join(dir, name))).toMatchObject({ uid: 0, gid: 0 })
    expect(lstatSync(join(dir, 'file')).mode & 0o777).toBe(0o700)
  })

  it('reads nothing else that is root’s alone, has no descriptor of it, and mounts are its alone', async () => {
    const script =
      '{ for path in "$1" "$1/file" /etc/shadow; do cat "$path"; done; ls -l /proc/self/fd | grep -c "$1"; chmod 777 /mnt; }'
    const { stdout, stderr } = await run(`${script} 2>&1 | sed 's/.*: //'`)
    expect(stderr).toBe('')
    const denied = 'Permission denied\n'.repeat(3)
    expect(stdout).toMatch(new RegExp(`^${denied}0\nOperation not permitted\n$`))
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain('places')
  })

  it('starts where it is told, and is restricted too', async () => {
    expect((await run('pwd', '--enter', '/mnt/0/sub', '--sockets')).stdout).toBe('/mnt/0/sub\n')
  })

  it.each([
    [['--user', '0'], 'unknown option --user'],
    [['--user', '-1'], 'unknown option --user'],
    [['--user', '4294967295'], 'unknown option --user'],
    [['--user', 'x'], 'unknown option --user'],
    [['--place', '-1'], 'unknown option --place'],
    [['--user', '5', '--places', '/no/such'], 'cannot be mounted: no such file'],
    [['--user', '5', '--places', '/mnt', '--place', '99'], 'ids of files cannot be mapped'],
    [['--user', '5', '--enter', '/no/such'], 'the user cannot be changed: no such file'],
  ])('%j is refused before anything is started', (options, message) => {
    const { status, stderr } = spawnSync(landlockProgram(), [...options, '/bin/true'], { encoding: 'utf8' })
    expect(status).toBe(125)
    expect(stderr).toMatch(/^ERROR: landlock: [^\n]*\n$/)
    expect(stderr).toContain(message)
  })

  it('is one that no account has', () => {
    const found = findHostUser(landlockProgram())
    if (found === undefined || found === 'refused') throw new Error('there is none')
    expect(found.id).toBeGreaterThanOrEqual(1_900_000_000)
    expect(found.id).toBeLessThan(2_000_000_000)
    for (const file of ['/etc/passwd', '/etc/group']) expect(readFileSync(file, 'utf8')).not.toContain(`:${found.id}:`)
  })

  it('is not there without the program for it', () => expect(findHostUser(undefined)).toBe('refused'))
})

it.runIf(isRoot)('X51 X52 a warning says as whom and with what programs run where ids cannot be mapped', async () => {
  const warned = async (asRoot: boolean): Promise<string> => {
    const tmpDir = await temporaryDirectory()
    const texts: string[] = []
    const onWarning = ({ text }: { text: string }): void => void texts.push(text)
    const engine = bubblewrapEngine({ rootfs: [tmpDir], tmpDir, asRoot, onWarning })
    // Ends before anything is started.
    const mounts = [{ hostPath: '/', path: 'relative', access: 'read-only' as const }]
    const user = { uid: 0, gid: 0 }
    const run = { argv: ['/bin/true'], env: {}, workingDir: '/', mounts, network: 'none' as const, user }
    const error = await failureOf(engine.run({ ...run, onOutput: () => undefined }))
    expect(error).toMatchObject({ where: '"relative"' })
    return texts.join()
  }
  expect(await warned(false)).toMatch(/^processes in the sandbox run as root on this machine, without capabilities/)
  expect(await warned(true)).toMatch(/^programs that the Dockerfiles .* as root on this machine, with capabilities/)
})

it('an ordinary user stays who they are', async () => {
  await asOrdinaryUser(() => Promise.resolve(expect(findHostUser('/bin/true')).toBeUndefined()))
})

describe('files that cannot be shown to another user', () => {
  it('are opened for ours, and the caller is told', async () => {
    const bwrap = await findBwrap()
    const opened: (Places | undefined)[] = []
    let closed = 0
    let refused = 0
    const open = (places?: Places) => {
      opened.push(places)
      places?.open('/')
      return Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve(void closed++) })
    }
    const user = { id, starter: '/bin/false', dir: '/mnt' }
    const result = await openAs(user, bwrap, open, () => void refused++)
    expect(result.as).toBeUndefined()
    expect([opened.map(places => places !== undefined), closed, refused]).toEqual([[true, false], 1, 1])
    expect(opened[0]?.descriptors).toEqual([])
    await result[Symbol.asyncDispose]()
    expect(closed).toBe(2)
  })
})
