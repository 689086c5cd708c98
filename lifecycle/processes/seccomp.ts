import { arch as machineName } from 'node:os'
import { BaleError } from '../errors.ts'

/** The machines with a system call table here. */
export type SeccompArch = 'x86_64' | 'aarch64'

/** The system calls whose numbers depend on the machine: [x86_64, aarch64], from the kernel's syscall tables. */
const numbers = {
  // Other programs' memory, registers and descriptors. Inside the PID namespace these reach only the sandbox's own
  // processes and bubblewrap's init (X05); before Linux 4.8 a tracer could also walk around this filter.
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  pidfd_getfd: [438, 438],
  kcmp: [312, 272],
  // Keyrings are not in a namespace: the user's session keyring may hold Kerberos tickets and disk keys (X04).
  add_key: [248, 217],
  request_key: [249, 218],
  keyctl: [250, 219],
  // Parts of the kernel that need no privilege, serve no build, and had many vulnerabilities (X13).
  bpf: [321, 280],
  perf_event_open: [298, 241],
  userfaultfd: [323, 282],
  io_uring_setup: [425, 425],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  // Mounts (X01): the sandbox has no capability for them, and the filter also covers kernel bugs.
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  open_tree: [428, 428],
  move_mount: [429, 429],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fspick: [433, 433],
  mount_setattr: [442, 442],
  open_tree_attr: [467, 467],
  // Joining another namespace, and opening files by inode number past the mounts.
  setns: [308, 268],
  open_by_handle_at: [304, 265],
  // The kernel's log has addresses and activities of the host.
  syslog: [103, 116],
} as const satisfies Record<string, readonly [number, number]>

/** Calls that are allowed depending on an argument. */
const judged = {
  clone: [56, 220],
  clone3: [435, 435],
  unshare: [272, 97],
  ioctl: [16, 29],
  socket: [41, 198],
  socketpair: [53, 199],
} as const satisfies Record<string, readonly [number, number]>

/** AUDIT_ARCH_*, linux/audit.h: the machine's own 64-bit calls. */
const audit = { x86_64: 0xc000003e, aarch64: 0xc00000b7 } as const
/** Calls of the x32 ABI have this bit in their number (asm/unistd.h). */
const x32 = 0x40000000

// linux/sched.h. CLONE_NEWTIME is for unshare only: clone has the exit signal in those bits.
const newNamespaces = 0x7e020000
const newTime = 0x80
/** Put a character into a terminal's input (TIOCSTI) or its selection (TIOCLINUX): typing into the user's shell (X10). */
const typing = [0x5412, 0x541c]
/**
 * unix, inet, inet6, netlink. AF_VSOCK is not part of the network namespace and reaches the hypervisor even
 * without network. AF_ALG, AF_PACKET, AF_CAN, AF_TIPC and similar families are kernel code that no build needs.
 */
const families = [1, 2, 10, 16]

const EPERM = 1
const ENOSYS = 38
const EAFNOSUPPORT = 97

// Classic BPF, linux/bpf_common.h and linux/seccomp.h.
const load = (offset: number): Instruction => [0x20, 0, 0, offset]
const equal = (value: number, yes: number, no: number): Instruction => [0x15, yes, no, value]
const atLeast = (value: number, yes: number, no: number): Instruction => [0x35, yes, no, value]
const anyBit = (mask: number, yes: number, no: number): Instruction => [0x45, yes, no, mask]
const answer = (action: number): Instruction => [0x06, 0, 0, action]
const allow = answer(0x7fff0000)
const killProcess = answer(0x80000000)
const refuse = (errno: number): Instruction => answer(0x00050000 | errno)
/** struct seccomp_data: nr, arch, instruction pointer, six arguments of 64 bits; both machines are little-endian. */
const nr = 0
const arch = 4
// The kernel uses only 32 bits of each argument checked here, so checking the lower half is enough.
const argument = (n: number): number => 16 + 8 * n

/** Code, jump if true, jump if false, operand. */
type Instruction = readonly [code: number, yes: number, no: number, operand: number]

/**
 * Returns the architecture of this machine.
 * @throws BaleError 'engine' if there is no filter for it
 */
export function seccompArch(): SeccompArch {
  const name = { x64: 'x86_64', arm64: 'aarch64' }[machineName() as string]
  if (name !== undefined) return name as SeccompArch
  throw new BaleError('engine', `there is no system call filter for ${machineName()}`, {
    fix: 'build on x86_64 or arm64',
  })
}

/**
 * A seccomp filter: an array of `struct sock_filter`, for bubblewrap's `--seccomp` and engines/landlock. Allows all calls
 * not named above, since builds run any program. The filter denies calls that no build needs and that namespaces do not cover.
 */
export function seccompFilter(machine: SeccompArch): Uint8Array {
  const column = machine === 'x86_64' ? 0 : 1
  const program: Instruction[] = [
    // Calls of another ABI (32-bit programs) have other numbers, so the rules below would be wrong for them.
    load(arch),
    equal(audit[machine], 1, 0),
    killProcess,
    load(nr),
    ...(machine === 'x86_64' ? [atLeast(x32, 0, 1), refuse(ENOSYS)] : []),
    ...Object.values(numbers).flatMap(pair => [equal(pair[column], 0, 1), refuse(EPERM)]),
    // clone3's flags are in memory, which a filter cannot read. Without clone3, C libraries use clone.
    equal(judged.clone3[column], 0, 1),
    refuse(ENOSYS),
    ...judge(judged.clone[column], 0, [anyBit(newNamespaces, 0, 1), refuse(EPERM), allow]),
    ...judge(judged.unshare[column], 0, [anyBit(newNamespaces | newTime, 0, 1), refuse(EPERM), allow]),
    ...judge(judged.ioctl[column], 1, [...typing.flatMap(t => [equal(t, 0, 1), refuse(EPERM)]), allow]),
    ...[judged.socket, judged.socketpair].flatMap(pair =>
      judge(pair[column], 0, [...families.flatMap(f => [equal(f, 0, 1), allow]), refuse(EAFNOSUPPORT)]),
    ),
    allow,
  ]
  return assemble(program)
}

/** `rule` checks argument `n` of call `number`, and must end with a verdict. Other calls skip it. */
function judge(number: number, n: number, rule: readonly Instruction[]): Instruction[] {
  return [equal(number, 0, rule.length + 1), load(argument(n)), ...rule]
}

function assemble(program: readonly Instruction[]): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(8 * program.length))
  program.forEach(([code, yes, no, operand], n) => {
    bytes.setUint16(8 * n, code, true)
    bytes.setUint8(8 * n + 2, yes)
    bytes.setUint8(8 * n + 3, no)
    bytes.setUint32(8 * n + 4, operand, true)
  })
  return new Uint8Array(bytes.buffer)
}
