import { expect, it } from 'vitest'

/** What `probe attempts` says: what it tried, and `worked` or the error. */
export function readAttempts(output: string): Map<string, string> {
  const lines = output.trim().split('\n')
  return new Map(lines.map(line => line.split(' ') as [string, string]))
}

/** Those of `attempts` that `expected` names are as it says. */
export function expectAttempts(attempts: ReadonlyMap<string, string>, expected: Record<string, string>): void {
  expect(Object.fromEntries(Object.keys(expected).map(name => [name, attempts.get(name)]))).toEqual(expected)
}

/**
 * What no buildpack can do wherever it runs: the filter of system calls refuses it, or the kernel refuses it to a user without
 * capabilities.
 */
export function systemCallCases(attempts: () => ReadonlyMap<string, string>): void {
  const expectAll = (expected: Record<string, string>) => expectAttempts(attempts(), expected)

  it('is a probe that can succeed', () => {
    expectAll({
      'clone:none': 'worked',
      'socket:unix': 'worked',
      'socket:inet': 'worked',
      'socket:inet6': 'worked',
      'write:/dev/full': 'worked',
    })
  })

  it('X01 no namespaces, mounts or other roots', () => {
    const refused = [
      ...['unshare:user', 'unshare:mount', 'unshare:time', 'clone:user', 'setns', 'mount', 'remount', 'umount'],
      ...['pivot_root', 'chroot', 'open_tree', 'fsopen', 'sethostname'],
    ]
    expectAll(Object.fromEntries(refused.map(name => [name, 'EPERM'])))
    expectAll({ clone3: 'ENOSYS' })
  })

  it('X02 nothing of the kernel or of the root is written', () => {
    for (const path of ['kernel/core_pattern', 'kernel/hostname', 'vm/swappiness'])
      expect(attempts().get(`write:/proc/sys/${path}`)).toMatch(/^(EROFS|EACCES)$/)
    expect(attempts().get('write:/proc/sysrq-trigger')).toMatch(/^(EROFS|EACCES|ENOENT)$/)
    expect(attempts().get('write:/proc/mtrr')).toMatch(/^(EROFS|EACCES|ENOENT|EPERM)$/)
    expect(attempts().get('write:/etc/passwd')).toMatch(/^(EROFS|EACCES)$/)
    expect(attempts().get('mkdir:/')).toMatch(/^(EROFS|EACCES)$/)
    expect(attempts().get('mkdir:/dev/probe')).toMatch(/^(EROFS|EACCES)$/)
    expect(attempts().get('mkdir:/proc/1/probe')).toMatch(/^(EROFS|ENOENT)$/)
    expectAll({ 'write:/usr/probe': 'ENOENT', 'write:/sys/kernel/uevent_helper': 'ENOENT' })
  })

  it('X03 X39 no new devices, and those that are there stay as they are', () => {
    expectAll({ 'mknod:char': 'EPERM', 'mknod:block': 'EPERM', 'read:/dev/tty': 'ENXIO' })
    expect(attempts().get('read:/proc/kcore')).toMatch(/^(EPERM|EACCES|ENOENT)$/)
    expect(attempts().get('read:/proc/kmsg')).toMatch(/^(EPERM|EACCES|ENOENT)$/)
    expect(attempts().get('chmod:/dev/null')).toMatch(/^(EROFS|EPERM)$/)
    const calls = ['fchmod', 'fchmod-by-link', 'fchown', 'fchown-by-handle', 'setxattr', 'unlink', 'rename']
    for (const call of calls)
      for (const device of ['/dev/null', '/dev/zero'])
        expect(attempts().get(`${call}:${device}`), call).toMatch(
          /^(EPERM|EACCES|EROFS|EINVAL|EOVERFLOW|ENOTSUP|EOPNOTSUPP|EBUSY)$/,
        )
  })

  it('X04 no keyrings', () => expectAll({ keyctl: 'EPERM', add_key: 'EPERM', request_key: 'EPERM' }))

  it("X05 no other process's memory", () => {
    const refused = ['ptrace:me', 'ptrace:other', 'ptrace:init', 'vm_readv', 'pidfd_getfd']
    expectAll(Object.fromEntries(refused.map(name => [name, 'EPERM'])))
  })

  it('X09 no executable or other part of the first process', () => {
    const parts = ['read:/proc/1/mem', 'read:/proc/1/environ', 'read:/proc/1/root', 'read:/proc/1/exe']
    for (const part of [...parts, 'write:/proc/1/exe']) expect(attempts().get(part)).toMatch(/^(EACCES|ENOENT|EPERM)$/)
    expect(attempts().get('write:/proc/self/exe')).toMatch(/^(EROFS|ETXTBSY|EACCES)$/)
  })

  it('X10 no typing into a terminal', () => expectAll({ tiocsti: 'EPERM', 'tiocsti:high': 'EPERM' }))

  it('X13 no bpf, io_uring, userfaultfd, perf or kernel log', () => {
    const refused = ['bpf', 'io_uring', 'userfaultfd', 'perf', 'syslog', 'open_by_handle']
    expectAll(Object.fromEntries(refused.map(name => [name, 'EPERM'])))
  })

  it('X13 no sockets of families that no build needs', () => {
    expectAll({ 'socket:vsock': 'EAFNOSUPPORT', 'socket:alg': 'EAFNOSUPPORT', 'socket:packet': 'EAFNOSUPPORT' })
  })

  it('X15 no way to become more', () => {
    expectAll({ no_new_privs: '1' })
    expect(attempts().get('setuid:0')).toMatch(/^(EINVAL|EPERM)$/)
  })

  it('X12 no core dumps', () => expectAll({ core: '0' }))
}
