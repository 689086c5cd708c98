import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { bubblewrapEngine } from '../../lifecycle/engines/bubblewrap.ts'
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
      attempts = new Map(
        Buffer.concat(chunks)
          .toString()
          .trim()
          .split('\n')
          .map(line => line.split(' ') as [string, string]),
      )
    })
    const expectAll = (expected: Record<string, string>) =>
      expect(Object.fromEntries(Object.keys(expected).map(name => [name, attempts.get(name)]))).toEqual(expected)

    it('is a probe that can succeed', () => {
      expectAll({
        'unshare:files': 'worked',
        'clone:none': 'worked',
        'socket:unix': 'worked',
        'socket:inet': 'worked',
        'socket:inet6': 'worked',
      })
      expect(attempts.get('write:/dev/full')).toBe('worked')
    })

    it('X01 no namespaces, mounts or other roots', () => {
      const refused = [
        'unshare:user',
        'unshare:mount',
        'unshare:time',
        'clone:user',
        'setns',
        'mount',
        'remount',
        'umount',
      ]
      const others = ['pivot_root', 'chroot', 'open_tree', 'fsopen', 'sethostname']
      expectAll(Object.fromEntries([...refused, ...others].map(name => [name, 'EPERM'])))
      expectAll({ clone3: 'ENOSYS' })
    })

    it('X02 nothing of the kernel or of the root is written', () => {
      for (const path of ['core_pattern', 'hostname'])
        expect(attempts.get(`write:/proc/sys/kernel/${path}`)).toMatch(/^(EROFS|EACCES)$/)
      expect(attempts.get('write:/proc/sys/vm/swappiness')).toMatch(/^(EROFS|EACCES)$/)
      expect(attempts.get('write:/proc/sysrq-trigger')).toMatch(/^(EROFS|EACCES|ENOENT)$/)
      expect(attempts.get('write:/proc/mtrr')).toMatch(/^(EROFS|EACCES|ENOENT|EPERM)$/)
      expectAll({
        'write:/proc/self/uid_map': 'EROFS',
        'write:/etc/passwd': 'EROFS',
        'write:/usr/probe': 'ENOENT',
        'write:/sys/kernel/uevent_helper': 'ENOENT',
        'mkdir:/': 'EROFS',
        'mkdir:/dev/probe': 'EROFS',
        'mkdir:/proc/1/probe': 'EROFS',
      })
    })

    it('X03 no devices but the harmless ones, and those stay as they are', () => {
      const devices = ['mem', 'kmsg', 'kvm', 'fuse', 'sda', 'vda', 'loop0'].map(name => `read:/dev/${name}`)
      expectAll(Object.fromEntries(devices.map(name => [name, 'ENOENT'])))
      expectAll({ 'read:/dev/tty': 'ENXIO', 'mknod:char': 'EPERM', 'mknod:block': 'EPERM' })
      expect(attempts.get('read:/proc/kcore')).toMatch(/^(EPERM|EACCES|ENOENT)$/)
      expect(attempts.get('read:/proc/kmsg')).toMatch(/^(EPERM|EACCES|ENOENT)$/)
      expect(attempts.get('chmod:/dev/null')).toMatch(/^(EROFS|EPERM)$/)
    })

    it('X03 none but these is there, by whatever name', () => {
      const found = [...attempts.keys()].filter(name => name.startsWith('device:')).toSorted()
      const harmless = ['full', 'null', 'ptmx', 'pts/ptmx', 'random', 'tty', 'urandom', 'zero']
      // Standard input is no device, and output goes to pipes.
      expect(found).toEqual(harmless.map(name => `device:/dev/${name}`))
    })

    it.each(['/dev/null', '/dev/zero'])('X03 %s stays as it is, with a descriptor as well', device => {
      const calls = ['fchmod', 'fchmod-by-link', 'fchown', 'fchown-by-handle', 'setxattr', 'unlink', 'rename']
      for (const call of calls)
        expect(attempts.get(`${call}:${device}`), call).toMatch(
          /^(EPERM|EROFS|EINVAL|EOVERFLOW|ENOTSUP|EOPNOTSUPP|EBUSY)$/,
        )
    })

    it('X04 no keyrings', () => expectAll({ keyctl: 'EPERM', add_key: 'EPERM', request_key: 'EPERM' }))

    it("X05 no other process's memory", () => {
      expectAll({
        'ptrace:me': 'EPERM',
        'ptrace:other': 'EPERM',
        'ptrace:init': 'EPERM',
        vm_readv: 'EPERM',
        pidfd_getfd: 'EPERM',
      })
    })

    it('X09 no executable or other part of the process outside', () => {
      const parts = [
        'read:/proc/1/mem',
        'read:/proc/1/environ',
        'read:/proc/1/root',
        'read:/proc/1/exe',
        'write:/proc/1/exe',
      ]
      expectAll(Object.fromEntries(parts.map(name => [name, 'ENOENT'])))
      expect(attempts.get('write:/proc/self/exe')).toMatch(/^(EROFS|ETXTBSY)$/)
    })

    it('X10 no typing into a terminal', () => expectAll({ tiocsti: 'EPERM', 'tiocsti:high': 'EPERM' }))

    it('X13 no bpf, io_uring, userfaultfd, perf or kernel log', () => {
      const refused = ['bpf', 'io_uring', 'userfaultfd', 'perf', 'syslog', 'open_by_handle']
      expectAll(Object.fromEntries(refused.map(name => [name, 'EPERM'])))
    })

    it('X13 no sockets of families that no build needs', () => {
      expectAll({ 'socket:vsock': 'EAFNOSUPPORT', 'socket:alg': 'EAFNOSUPPORT', 'socket:packet': 'EAFNOSUPPORT' })
    })

    it('X15 no way to become more', () => expectAll({ no_new_privs: '1', 'setuid:0': 'EINVAL' }))

    it('X12 a limit on processes, and no core dumps', () => {
      expect(Number(attempts.get('processes'))).toBeGreaterThan(0)
      expect(Number(attempts.get('processes'))).toBeLessThanOrEqual(16_384)
      expectAll({ core: '0' })
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
