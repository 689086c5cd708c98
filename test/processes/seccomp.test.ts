import { describe, expect, it } from 'vitest'
import { type SeccompArch, seccompFilter } from '../../lifecycle/processes/seccomp.ts'

interface Call {
  readonly arch: number
  readonly nr: number
  readonly args?: readonly bigint[]
}

/** The kernel's classic BPF machine, as far as a seccomp filter needs one (linux/filter.h, net/core/filter.c). */
function judge(filter: Uint8Array, { arch, nr, args = [] }: Call): string {
  const data = new DataView(new ArrayBuffer(64))
  data.setUint32(0, nr, true)
  data.setUint32(4, arch, true)
  args.forEach((arg, n) => data.setBigUint64(16 + 8 * n, BigInt.asUintN(64, arg), true))
  const program = new DataView(filter.buffer, filter.byteOffset, filter.byteLength)
  let accumulator = 0
  for (let pc = 0; 8 * pc < filter.length; pc++) {
    const code = program.getUint16(8 * pc, true)
    const [yes, no] = [program.getUint8(8 * pc + 2), program.getUint8(8 * pc + 3)]
    const k = program.getUint32(8 * pc + 4, true)
    if (code === 0x20) accumulator = data.getUint32(k, true)
    else if (code === 0x15) pc += accumulator === k ? yes : no
    else if (code === 0x35) pc += accumulator >= k ? yes : no
    else if (code === 0x45) pc += (accumulator & k) !== 0 ? yes : no
    else if (code === 0x06) return answers[k] ?? k.toString(16)
    else throw new Error(`instruction ${pc} has code ${code.toString(16)}`)
  }
  throw new Error('the filter ends without an answer')
}

const answers: Record<number, string> = {
  0x7fff0000: 'allow',
  0x80000000: 'kill',
  0x00050001: 'EPERM',
  0x00050026: 'ENOSYS',
  0x00050061: 'EAFNOSUPPORT',
}

// From asm/unistd_64.h and asm-generic/unistd.h; what the filter says of each call.
// prettier-ignore
const machines: Record<SeccompArch, { audit: number; others: number[]; calls: Record<string, number> }> = {
  x86_64: {
    audit: 0xc000003e,
    others: [0x40000003, 0xc00000b7, 0],
    calls: {
      read: 0, write: 1, ioctl: 16, socket: 41, socketpair: 53, clone: 56, execve: 59, ptrace: 101, syslog: 103,
      pivot_root: 155, mount: 165, umount2: 166, add_key: 248, keyctl: 250, openat: 257, unshare: 272,
      perf_event_open: 298, setns: 308, bpf: 321, userfaultfd: 323, io_uring_setup: 425, open_tree: 428, clone3: 435,
      landlock_create_ruleset: 444, open_tree_attr: 467,
    },
  },
  aarch64: {
    audit: 0xc00000b7,
    others: [0x40000028, 0xc000003e, 0],
    calls: {
      read: 63, write: 64, ioctl: 29, socket: 198, socketpair: 199, clone: 220, execve: 221, ptrace: 117, syslog: 116,
      pivot_root: 41, mount: 40, umount2: 39, add_key: 217, keyctl: 219, openat: 56, unshare: 97,
      perf_event_open: 241, setns: 268, bpf: 280, userfaultfd: 282, io_uring_setup: 425, open_tree: 428, clone3: 435,
      landlock_create_ruleset: 444, open_tree_attr: 467,
    },
  },
}

describe.each(['x86_64', 'aarch64'] as const)('the system call filter for %s', machine => {
  const filter = seccompFilter(machine)
  const { audit, others, calls } = machines[machine]
  const verdict = (name: string, ...args: bigint[]) => judge(filter, { arch: audit, nr: calls[name] as number, args })

  it('is whole instructions, fewer than the kernel takes', () => {
    expect(filter.length % 8).toBe(0)
    expect(filter.length / 8).toBeLessThan(4096)
  })

  it('ends programs of another ABI', () => {
    for (const arch of others) expect(judge(filter, { arch, nr: calls.read as number })).toBe('kill')
  })

  it('allows what programs live on, and calls that are yet to come', () => {
    for (const name of ['read', 'write', 'openat', 'execve', 'landlock_create_ruleset'])
      expect(verdict(name)).toBe('allow')
    for (const nr of [500, 999]) expect(judge(filter, { arch: audit, nr })).toBe('allow')
  })

  it('X01 X04 X05 X13 refuses what no build needs', () => {
    const refused = [
      'ptrace',
      'syslog',
      'pivot_root',
      'mount',
      'umount2',
      'add_key',
      'keyctl',
      'perf_event_open',
      'setns',
      'bpf',
    ]
    for (const name of [...refused, 'userfaultfd', 'io_uring_setup', 'open_tree', 'open_tree_attr']) {
      expect([name, verdict(name)]).toEqual([name, 'EPERM'])
    }
  })

  it('X01 makes processes and threads, but no namespaces', () => {
    const threads = 0x3d0f00n
    const sigchld = 17n
    expect(verdict('clone', threads)).toBe('allow')
    expect(verdict('clone', sigchld)).toBe('allow')
    for (const flag of [0x20000n, 0x2000000n, 0x4000000n, 0x8000000n, 0x10000000n, 0x20000000n, 0x40000000n]) {
      expect(verdict('clone', sigchld | flag)).toBe('EPERM')
      expect(verdict('unshare', flag)).toBe('EPERM')
    }
    expect(verdict('unshare', 0x80n)).toBe('EPERM')
    expect(verdict('unshare', 0x400n)).toBe('allow') // CLONE_FILES
    expect(verdict('clone3')).toBe('ENOSYS')
  })

  it('X10 refuses typing into a terminal, and looks at the 32 bits that the kernel looks at', () => {
    expect(verdict('ioctl', 0n, 0x5412n)).toBe('EPERM')
    expect(verdict('ioctl', 0n, 0x541cn)).toBe('EPERM')
    expect(verdict('ioctl', 0n, 0xffffffff_00005412n)).toBe('EPERM')
    expect(verdict('ioctl', 0n, 0x5413n)).toBe('allow') // TIOCGWINSZ
    expect(verdict('ioctl', 0x5412n, 0x5401n)).toBe('allow') // a file descriptor of that number
  })

  it('makes sockets of the usual families only', () => {
    for (const call of ['socket', 'socketpair']) {
      for (const family of [1n, 2n, 10n, 16n]) expect(verdict(call, family)).toBe('allow')
      for (const family of [0n, 17n, 29n, 30n, 38n, 40n, 0x1_0000_0028n, -1n])
        expect(verdict(call, family)).toBe('EAFNOSUPPORT')
      expect(verdict(call, 0x1_0000_0001n)).toBe('allow') // the kernel takes an int
    }
  })
})

it('refuses the x32 calls, whose numbers are others', () => {
  for (const nr of [0x40000000, 0x40000000 + 101, 0x40000000 + 521, 0xffffffff]) {
    expect(judge(seccompFilter('x86_64'), { arch: 0xc000003e, nr })).toBe('ENOSYS')
  }
})
