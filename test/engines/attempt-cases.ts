import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { bubblewrapEngine } from '../../lifecycle/engines/bubblewrap.ts'
import { expectAttempts, readAttempts, systemCallCases } from './system-call-cases.ts'
import { makeRootfs, starter, useProbe, user, usr } from './harness.ts'

/** All that probe.c tries, in one run. */
export function attemptCases(): void {
  describe('bubblewrap: a hostile build', () => {
    const probe = useProbe()
    let attempts: Map<string, string>
    const before = snapshotOfHost()
    beforeAll(async () => {
      const base = await mkdtemp(join(tmpdir(), 'bale-test-'))
      await Promise.all([makeRootfs(join(base, 'rootfs')), mkdir(join(base, 'tmp'))])
      const engine = bubblewrapEngine({ rootfs: join(base, 'rootfs'), tmpDir: join(base, 'tmp'), ...starter() })
      const chunks: Uint8Array[] = []
      const status = await engine.run({
        argv: ['/probe', 'attempts'],
        env: {},
        workingDir: '/',
        mounts: [usr, probe],
        network: 'none',
        user,
        onOutput: (_, chunk) => void chunks.push(chunk),
      })
      await rm(base, { recursive: true })
      expect(status).toEqual({ code: 0 })
      attempts = readAttempts(Buffer.concat(chunks).toString())
    })
    const expectAll = (expected: Record<string, string>) => expectAttempts(attempts, expected)
    systemCallCases(() => attempts)

    it('leaves what needs no namespace alone', () => expectAll({ 'unshare:files': 'worked' }))

    it('X02 the root and what the kernel shows are read-only', () => {
      const written = [
        'write:/proc/self/uid_map',
        'write:/etc/passwd',
        'mkdir:/',
        'mkdir:/dev/probe',
        'mkdir:/proc/1/probe',
      ]
      expectAll(Object.fromEntries(written.map(name => [name, 'EROFS'])))
    })

    it('X03 no devices but the harmless ones', () => {
      const devices = ['mem', 'kmsg', 'kvm', 'fuse', 'sda', 'vda', 'loop0'].map(name => `read:/dev/${name}`)
      expectAll(Object.fromEntries(devices.map(name => [name, 'ENOENT'])))
    })

    it('X03 none but these is there, by whatever name', () => {
      const found = [...attempts.keys()].filter(name => name.startsWith('device:')).toSorted()
      const harmless = ['full', 'null', 'ptmx', 'pts/ptmx', 'random', 'tty', 'urandom', 'zero']
      // Standard input is not a device, and output goes to pipes.
      expect(found).toEqual(harmless.map(name => `device:/dev/${name}`))
    })

    it('X09 no first process that could be the one outside', () => {
      const parts = [
        'read:/proc/1/mem',
        'read:/proc/1/environ',
        'read:/proc/1/root',
        'read:/proc/1/exe',
        'write:/proc/1/exe',
      ]
      expectAll(Object.fromEntries(parts.map(name => [name, 'ENOENT'])))
    })

    it('X12 a limit on processes', () => {
      expect(Number(attempts.get('processes'))).toBeGreaterThan(0)
      expect(Number(attempts.get('processes'))).toBeLessThanOrEqual(16_384)
    })

    it('and the host is untouched', () => expect(snapshotOfHost()).toEqual(before))
  })
}

/** What a build that got out would most likely have changed. */
function snapshotOfHost(): Record<string, string> {
  const settings = ['kernel/core_pattern', 'kernel/hostname', 'vm/swappiness', 'user/max_user_namespaces']
  return Object.fromEntries([
    ...settings.map(name => [name, readFileSync(`/proc/sys/${name}`, 'latin1')]),
    ['mounts', mountsOfOurs()],
    ...['/', '/dev'].map(dir => [
      dir,
      execFileSync('find', [dir, '-maxdepth', '1', '-printf', '%p %m %U %G\n'], { encoding: 'latin1' }),
    ]),
  ]) as Record<string, string>
}

/**
 * Where this machine's own file systems are mounted. Others come and go on a machine that works: those of containers, other
 * sandboxes and other tests.
 */
function mountsOfOurs(): string {
  const mountPoints = readFileSync('/proc/self/mountinfo', 'latin1')
    .split('\n')
    .map(line => line.split(' ').slice(3, 6).join(' '))
  return mountPoints.filter(line => /^\S+ \/(usr|etc|dev|dev\/shm|dev\/pts|proc|sys)? /.test(line)).join('\n')
}
