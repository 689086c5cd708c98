import { existsSync } from 'node:fs'
import { BaleError } from '../errors.ts'
import { readProc } from '../processes/proc.ts'

/** The settings that decide whether this user may make namespaces. Those that this kernel does not have are undefined. */
export interface Facts {
  /** user.max_user_namespaces */
  readonly maxUserNamespaces?: number | undefined
  /** kernel.unprivileged_userns_clone, in Debian's kernels */
  readonly unprivilegedClone?: number | undefined
  /** kernel.apparmor_restrict_unprivileged_userns, in Ubuntu's since 23.10 */
  readonly apparmorRestricts?: number | undefined
  /** Programs do not become root by setuid: PR_SET_NO_NEW_PRIVS */
  readonly noNewPrivileges?: boolean | undefined
  readonly inContainer: boolean
  /** Path of bubblewrap. */
  readonly bwrap: string
}

export function readFacts(bwrap: string): Facts {
  const setting = (path: string) => {
    const text = readProc(`sys/${path}`)
    return text === undefined ? undefined : Number(text)
  }
  return {
    maxUserNamespaces: setting('user/max_user_namespaces'),
    unprivilegedClone: setting('kernel/unprivileged_userns_clone'),
    apparmorRestricts: setting('kernel/apparmor_restrict_unprivileged_userns'),
    noNewPrivileges: /^NoNewPrivs:\s*1$/m.test(readProc('self/status') ?? ''),
    inContainer: isContainer(),
    bwrap,
  }
}

/** Docker and Podman leave a file, systemd-nspawn and most others a variable of the first process, Kubernetes a directory. */
function isContainer(): boolean {
  const marks = ['/.dockerenv', '/run/.containerenv', '/run/systemd/container', '/var/run/secrets/kubernetes.io']
  return marks.some(path => existsSync(path)) || /(^|\0)container=/.test(readProc('1/environ') ?? '')
}

/** Explains from bubblewrap's message and the facts why it could not make a sandbox, and names a remedy. */
export function explainRefusal(said: string, facts: Facts): BaleError {
  const words = said
    .replace(/^bwrap: /, '')
    .trim()
    .replace(/\s*\n\s*/g, ' ')
  const where = facts.bwrap
  if (!/namespace|[ug]id[ _]?map|loopback|mount proc|pivot_root|Failed to make \/ slave|^mount: /i.test(words)) {
    const message = words === '' ? 'ended without saying why' : `cannot start the program: ${words}`
    return new BaleError('engine', `bubblewrap ${message}`, { where })
  }
  const [reason, fix] = findReason(words, facts)
  return new BaleError('engine', `bubblewrap cannot make a sandbox: ${reason}; its message: ${words}`, { where, fix })
}

const insideBuilder =
  'in a builder image, whose container is the sandbox, run the phase binaries instead: /cnb/lifecycle/creator'

function findReason(words: string, facts: Facts): [reason: string, fix: string] {
  if (/^new[ug]idmap: /.test(words)) {
    return facts.noNewPrivileges === true
      ? [
          'Bale was started so that no program may become root (no_new_privs), as newuidmap must',
          'start Bale without it: a container without --security-opt no-new-privileges, a service without NoNewPrivileges',
        ]
      : [
          'newuidmap and newgidmap cannot give it the subordinate ids of this user',
          'as root: apt-get install --reinstall uidmap (or shadow-utils), which makes them programs of root',
        ]
  }
  if (/^mount: /.test(words)) {
    return [
      'the kernel cannot overlay directories there',
      "use Linux 5.11 or newer, and a cache directory on a disk or a volume, not on a container's own file system: XDG_CACHE_HOME",
    ]
  }
  if (facts.maxUserNamespaces === 0) {
    return [
      'user namespaces are switched off (user.max_user_namespaces is 0)',
      'as root: sysctl -w user.max_user_namespaces=15000',
    ]
  }
  if (facts.unprivilegedClone === 0) {
    return [
      'only root can make user namespaces (kernel.unprivileged_userns_clone is 0)',
      'as root: sysctl -w kernel.unprivileged_userns_clone=1',
    ]
  }
  if (facts.inContainer) {
    return [
      'the container that this runs in does not allow it',
      `start it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined, or ${insideBuilder}`,
    ]
  }
  if (facts.apparmorRestricts === 1) {
    return [
      'AppArmor lets only programs with a profile make user namespaces (kernel.apparmor_restrict_unprivileged_userns is 1)',
      `as root, give bubblewrap one: printf 'abi <abi/4.0>,\\nprofile bwrap ${facts.bwrap} flags=(unconfined) {\\n  userns,\\n}\\n' > /etc/apparmor.d/bwrap && apparmor_parser -r /etc/apparmor.d/bwrap`,
    ]
  }
  return ['this system does not allow it', `run Bale on a machine that does; ${insideBuilder}`]
}
