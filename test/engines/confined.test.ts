import { spawn } from 'node:child_process'
import { chmod, chown, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { unsandboxedEngine } from '../../lifecycle/engines/unsandboxed.ts'
import { type OpenEngine, engineContract, sh } from '../contracts/engines.ts'
import { supervisorProgram } from '../helpers/supervisor.ts'
import { useLandlock } from './harness.ts'

// In a container, without a sandbox: what Landlock keeps from a run of the same user.

const landlock = useLandlock()
beforeAll(async () => {
  const dir = dirname(landlock.program)
  // The second one may be everybody's /tmp.
  for (const path of [dir, dirname(dir)]) await chmod(path, ((await stat(path)).mode & 0o7777) | 0o011)
})

const ourselves = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
/** As in a container of a job: an ordinary user. */
const ordinary = ourselves.uid === 0 ? { uid: 54_321, gid: 54_322 } : ourselves

async function open(user = ordinary): Promise<OpenEngine> {
  const base = await mkdtemp('/tmp/bale-test-') // not below /dev/shm, which a run may use
  onTestFinished(() => rm(base, { recursive: true, force: true }))
  const [dir, tmpDir] = [join(base, 'dir'), join(base, 'tmp')]
  await Promise.all([mkdir(dir), mkdir(tmpDir)])
  await chmod(base, 0o711)
  if (ourselves.uid === 0) await chown(dir, user.uid, user.gid)
  return {
    engine: unsandboxedEngine({ tmpDir, grace: 1000, supervisor: supervisorProgram(), landlock: landlock.program }),
    dir,
    tmpDir,
    show: (hostPath, access) => ({ hostPath, path: hostPath, access }),
    mounts: [],
    network: 'host',
    user,
  }
}

engineContract('landlock', () => open(ourselves))

describe('landlock: a run of our own user', () => {
  it('X05 X27 reads what it is shown and the system, and writes only what it may', async () => {
    const opened = await open()
    await mkdir(join(opened.dir, 'shown'))
    await writeFile(join(opened.dir, 'shown/file'), 'shown')
    await writeFile(join(opened.dir, 'secret'), 'secret')
    const script = `
      cat ${opened.dir}/shown/file; cat ${opened.dir}/secret; ls ${opened.dir}
      echo x >${opened.dir}/shown/new; echo x >>${opened.dir}/shown/file; rm ${opened.dir}/shown/file; echo x >/tmp/bale-x
      ln ${opened.dir}/secret ${opened.dir}/shown/link; test -x /usr/bin/env && echo system; echo x >/dev/null && echo device`
    const result = await sh(opened, script, { mounts: [opened.show(join(opened.dir, 'shown'), 'read-only')] })
    expect(result.stdout).toBe('shownsystem\ndevice\n')
    expect(await readFile(join(opened.dir, 'shown/file'), 'utf8')).toBe('shown')
    expect(result.stderr.match(/Permission denied/g)).toHaveLength(6)
  })

  it('K15 X11 neither looks into a process of the job nor signals it', async () => {
    const opened = await open()
    // Not root: CAP_PERFMON, which no container has by default, reads every environment since Linux 6.16.
    const { user } = opened
    const job = spawn('sleep', ['60'], { env: { PATH: '/usr/bin:/bin', SECRET: 'canary' }, ...user })
    onTestFinished(() => void job.kill('SIGKILL'))
    const at = `/proc/${job.pid}`
    const script = `cat ${at}/environ; cat ${at}/maps; cat ${at}/fd/0; ls ${at}/cwd/; ls ${at}/root/; kill -KILL ${job.pid}; cat ${at}/comm`
    const result = await sh(opened, script)
    expect(result.stdout).toBe('sleep\n')
    expect(job.exitCode).toBeNull()
    expect(job.signalCode).toBeNull()
  })

  it('X36 cannot kill the supervisor', async () => {
    const result = await sh(await open(), 'kill -KILL $PPID || echo refused')
    expect(result).toMatchObject({ status: { code: 0 }, stdout: 'refused\n' })
  })

  it('moves files between the directories that it may write to, as package clients do', async () => {
    const opened = await open()
    for (const name of ['a', 'b']) await mkdir(join(opened.dir, name)).then(() => chmod(join(opened.dir, name), 0o777))
    const mounts = ['a', 'b'].map(name => opened.show(join(opened.dir, name), 'read-write'))
    const script = `cd ${opened.dir}; mkdir a/x; echo y >a/x/y; mv a/x b/x; ln b/x/y a/y; rm -r b/x; cat a/y`
    expect(await sh(opened, script, { mounts })).toMatchObject({ stdout: 'y\n', stderr: '' })
  })
})
