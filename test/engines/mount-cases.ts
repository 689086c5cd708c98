import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { findBwrap } from '../../lifecycle/engines/bwrap.ts'
import type { Mount } from '../../lifecycle/engines/engine.ts'
import { openFiles } from '../../lifecycle/engines/files.ts'
import { isolate } from '../../lifecycle/engines/isolation.ts'
import { openOutputs } from '../../lifecycle/processes/pipe.ts'
import { startSandbox } from '../../lifecycle/engines/sandbox.ts'
import { sh } from '../contracts/engines.ts'
import { failureOf } from '../helpers/failure.ts'
import { skip } from '../helpers/skip.ts'
import { openSandbox, user, usr } from './harness.ts'

export function mountCases(): void {
  describe('bubblewrap: files that are not what they seem', () => {
    it('X17 a link in the place of what is to be mounted', async () => {
      const opened = await openSandbox()
      await symlink('/etc', join(opened.dir, 'link'))
      const error = await failureOf(
        sh(opened, ':', { mounts: [{ hostPath: join(opened.dir, 'link'), path: '/layers', access: 'read-write' }] }),
      )
      expect(error).toMatchObject({
        code: 'engine',
        where: join(opened.dir, 'link'),
        message: expect.stringContaining('a symbolic link') as string,
      })
    })

    it('X17 a link in the place of what we have looked at', async ctx => {
      const opened = await openSandbox()
      const { base, dir, rootfs, tmpDir } = opened
      const bwrap = await findBwrap()
      if (!bwrap.bindsDescriptors) return skip(ctx, 'this bubblewrap has no --bind-fd')
      await mkdir(join(base, 'secret'))
      await writeFile(join(base, 'secret/x'), 'secret')
      await writeFile(join(dir, 'x'), 'shown')
      const mounts = [usr, opened.show(dir, 'read-only')]
      await using files = await openFiles({ bwrap, rootfs, mounts, network: 'none', home: '/home/cnb' })
      await rename(dir, join(base, 'moved'))
      await symlink('secret', dir)
      let output = ''
      const outputs = await openOutputs(
        tmpDir,
        (_, chunk) => void (output += Buffer.from(chunk).toString()),
        () => {},
      )
      const isolation = isolate({ bwrap, network: 'none', user, env: {}, workingDir: '/' })
      const sandbox = startSandbox({
        bwrap,
        options: [...isolation, ...files.options],
        descriptors: files.descriptors,
        argv: ['/bin/cat', '/layers/x'],
        stdio: ['ignore', outputs.stdout, outputs.stderr],
      })
      outputs.release()
      await sandbox.ended
      await outputs.drained
      expect(output).not.toContain('secret')
      expect(output).toMatch(/^shown$|^bwrap: /)
    })

    it('a directory below /dev, where memory is mounted that people give caches', async () => {
      const opened = await openSandbox()
      const hostPath = await mkdtemp('/dev/shm/bale-test-')
      onTestFinished(() => rm(hostPath, { recursive: true }))
      await writeFile(join(hostPath, 'x'), 'shown')
      const mounts: Mount[] = [{ hostPath, path: '/layers', access: 'read-only' }]
      expect((await sh(opened, 'cat /layers/x', { mounts })).stdout).toBe('shown')
    })

    it('a fifo and a device', async () => {
      const opened = await openSandbox()
      execFileSync('mkfifo', [join(opened.dir, 'fifo')])
      for (const hostPath of [join(opened.dir, 'fifo'), '/dev/null']) {
        const error = await failureOf(
          sh(opened, ':', { mounts: [{ hostPath, path: '/layers', access: 'read-write' }] }),
        )
        expect(error).toMatchObject({ code: 'engine', where: hostPath })
      }
    })

    it('X19 links in the image where the sandbox mounts', async () => {
      const opened = await openSandbox()
      const { rootfs, base } = opened
      await mkdir(join(base, 'canary'))
      const outside = `/oldroot${join(base, 'canary')}`
      await Promise.all(['proc', 'dev', 'workspace'].map(name => rm(join(rootfs, name), { recursive: true })))
      await Promise.all(
        ['proc', 'dev', 'tmp', 'home', 'layers', 'etc/resolv.conf', 'etc/hosts'].map(name =>
          symlink(outside, join(rootfs, name)),
        ),
      )
      await writeFile(join(opened.dir, 'x'), 'x')
      const { stdout } = await sh(
        opened,
        'readlink /proc /dev /tmp /home /layers /etc/resolv.conf /etc/hosts; cat /layers/x; ls /proc/self/status',
        {
          mounts: [opened.show(opened.dir, 'read-only')],
          network: 'host',
        },
      )
      expect(stdout).toBe('x/proc/self/status\n')
      expect(await readdir(join(base, 'canary'))).toEqual([])
    })

    it('X18 a home that goes up', async () => {
      const opened = await openSandbox()
      const HOME = `/home/../../oldroot${opened.base}/made`
      const { stdout } = await sh(opened, 'echo "$HOME"', { env: { HOME } })
      expect(stdout).toBe(`${HOME}\n`)
      expect((await readdir(opened.base)).toSorted()).toEqual(['dir', 'rootfs', 'tmp'])
    })

    it('a bundle of certificates that is not there', async () => {
      const caBundle = '/does/not/exist.pem'
      const opened = await openSandbox({ caBundle })
      expect(await failureOf(sh(opened, ':', { network: 'host' }))).toMatchObject({ code: 'engine', where: caBundle })
    })

    it('X19 links in the image on the way there', async () => {
      const opened = await openSandbox()
      await symlink(`/oldroot${opened.base}`, join(opened.rootfs, 'cnb'))
      const mounts: Mount[] = [{ hostPath: opened.dir, path: '/cnb/lifecycle', access: 'read-only' }]
      const error = await failureOf(sh(opened, ':', { mounts }))
      expect(error).toMatchObject({ code: 'engine', where: join(opened.rootfs, 'cnb') })
      expect((await readdir(opened.base)).toSorted()).toEqual(['dir', 'rootfs', 'tmp'])
    })

    it.each([
      ['of the sandbox itself', [{ path: '/proc/sys' }]],
      ['of the root', [{ path: '/' }]],
      ['that goes up', [{ path: '/layers/../etc' }]],
      ['in one place', [{ path: '/layers' }, { path: '/layers' }]],
      ['inside of a writable one', [{ path: '/layers', access: 'read-write' }, { path: '/layers/x' }]],
      ['inside of another without a place', [{ path: '/layers' }, { path: '/layers/x' }]],
    ] as [string, Partial<Mount>[]][])('mounts %s', async (_name, wanted) => {
      const opened = await openSandbox()
      const mounts = wanted.map((mount): Mount => ({ hostPath: opened.dir, path: '/', access: 'read-only', ...mount }))
      expect(await failureOf(sh(opened, ':', { mounts }))).toMatchObject({ code: 'engine' })
      expect(await readdir(opened.dir)).toEqual([])
    })
  })
}
