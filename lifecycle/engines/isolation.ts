import type { Bwrap } from './bwrap.ts'

export interface Isolation {
  readonly bwrap: Bwrap
  readonly network: 'none' | 'host'
  readonly user: { readonly uid: number; readonly gid: number }
  readonly env: Readonly<Record<string, string>>
  readonly workingDir: string
  /** Whether the sandbox runs as root of the user namespace that bubblewrap is started in, rather than in one with a single id. */
  readonly isRoot?: boolean
}

/**
 * What programs that install packages need: to change owners, modes and ids. All of them count in their user namespace only. The
 * same as a container's of Docker, without devices and raw sockets.
 */
const ofRoot = [
  ...['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP', 'SETFCAP'],
  ...['NET_BIND_SERVICE', 'SYS_CHROOT', 'AUDIT_WRITE'],
].map(name => `CAP_${name}`)

/**
 * The options of bubblewrap for every sandbox, apart from its files: own namespaces, one user id, no capabilities,
 * and an end together with this process. (bubblewrap always sets no_new_privs, which disarms setuid programs (X15).)
 */
export function isolate({ bwrap, network, user, env, workingDir, isRoot = false }: Isolation): string[] {
  const namespaces = [
    ...(isRoot ? [] : ['user']),
    'pid',
    'ipc',
    'uts',
    'cgroup-try',
    ...(network === 'none' ? ['net'] : []),
  ]
  return [
    ...namespaces.map(name => `--unshare-${name}`),
    ...(bwrap.disablesUserNamespaces && !isRoot ? ['--disable-userns'] : []),
    // The only mapped id: inside, files of the user who started Bale belong to it, and all others to nobody.
    ...(isRoot ? [] : ['--uid', String(user.uid), '--gid', String(user.gid)]),
    ...['--cap-drop', 'ALL'], // started by root, bubblewrap would keep them all
    ...(isRoot ? ofRoot.flatMap(name => ['--cap-add', name]) : []),
    ...['--hostname', 'localhost'], // the same everywhere, and resolvable, as Java expects
    '--new-session', // without it the program could type into the user's terminal (X10, TIOCSTI)
    '--die-with-parent',
    '--clearenv',
    ...Object.entries(env).flatMap(([name, value]) => ['--setenv', name, value]),
    ...['--chdir', workingDir],
  ]
}

/** /dev and /proc. They are mounted after the root, over its directories. */
export const systemMounts = (sizes: Sizes): readonly string[] => [
  ...['--dev', '/dev'], // null, zero, full, random, urandom, tty and new pseudo-terminals (X03)
  ...['--size', String(sizes.shm), '--perms', '1777', '--tmpfs', '/dev/shm'],
  ...['--remount-ro', '/dev'],
  ...['--proc', '/proc'],
  // For the kernel, root without capabilities still owns /proc/sys: started by root, a program could
  // set kernel.core_pattern, and so run any program outside (X02).
  ...['--tmpfs', '/proc/1', '--remount-ro', '/proc/1'], // bubblewrap itself, whose executable is a file of the host (X09)
  ...['--remount-ro', '/proc'],
]

/** Bytes of each file system in memory. */
export interface Sizes {
  readonly tmp: number
  readonly varTmp: number
  readonly home: number
  readonly shm: number
}

/** Limits for file systems in memory: together three quarters of it, so that they alone never exhaust it (X46). */
export function sizesFor(memory: number): Sizes {
  const eighth = Math.floor(memory / 8)
  return { tmp: 2 * eighth, varTmp: eighth, home: 2 * eighth, shm: eighth }
}
