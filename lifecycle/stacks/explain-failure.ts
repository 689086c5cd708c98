import { BaleError, type ErrorCode, isErrno } from '../errors.ts'
import { addSubordinateIds, ownName } from '../processes/host-ids.ts'
import type { Failure } from './run-command.ts'

/**
 * Messages of mmdebstrap and apt with an external cause. Both write only for people, so this matches prose, and only to
 * add advice: without a match the error lacks only the fix.
 */
const advice: readonly { said: RegExp; code: ErrorCode; fix: string }[] = [
  {
    // Matched before the full disk: at the limit of user namespaces unshare(2) also returns ENOSPC.
    said: /unshare(\(\)| syscall) failed|failed to unshare|cannot unshare/i,
    code: 'engine',
    fix:
      'let ordinary users make user namespaces (sudo sysctl -w user.max_user_namespaces=15000, and on Ubuntu ' +
      'kernel.apparmor_restrict_unprivileged_userns=0; containers: a seccomp profile that allows unshare), or run as root',
  },
  {
    said: /No space left on device|not have enough free space/i,
    code: 'filesystem',
    fix: 'free about 2 GB in the folder for temporary files (/tmp, or TMPDIR), or set TMPDIR to one on a larger disk',
  },
  {
    said: /\/etc\/sub[ug]id|newuidmap|newgidmap/,
    code: 'engine',
    get fix() {
      return addSubordinateIds(ownName() ?? 'USER')
    },
  },
  {
    said: /cannot create .*Permission denied|cannot change directory .*Permission denied/,
    code: 'filesystem',
    fix: 'set TMPDIR to a folder that every user can enter, such as /var/tmp',
  },
  {
    said: /NO_PUBKEY|is not signed|couldn't be verified|Missing key|EXPKEYSIG/i,
    code: 'input',
    fix: "bring the archive's keys up to date: apt-get install debian-archive-keyring (Debian 13 needs 2025.1 or newer)",
  },
  {
    said: /Release file .*(expired|not valid yet)/i,
    code: 'input',
    fix: "check this machine's clock, or use a mirror that is kept up to date",
  },
  {
    said: /Unable to locate package|has no installation candidate/i,
    code: 'input',
    fix: 'correct the name in stack.toml: `apt-cache search` finds it on a machine with the same Debian',
  },
  {
    said: /Temporary failure resolving|Could not resolve|Could not connect|Unable to connect|Connection (timed out|failed|refused)|Failed to fetch/i,
    code: 'failed',
    fix: "check the network and the proxy, or name a mirror that this machine reaches; its own is in apt's sources",
  },
  {
    said: /cannot execute \S+ programs|arch-test|binfmt/i,
    code: 'engine',
    fix: 'to make images for another architecture: apt-get install qemu-user-static arch-test',
  },
]

/** Makes the error for a failed run of mmdebstrap, with the last lines that it printed. */
export function explainFailure({ cause, status, tail }: Failure, where: string): unknown {
  // Bale's own errors are complete. An operating system error while writing the image is not mmdebstrap's fault.
  if (cause instanceof BaleError) return cause
  if (isErrno(cause) && (cause.syscall === 'open' || cause.syscall === 'write')) return explainWrite(cause, where)
  const words = tail.join('\n')
  const match = advice.find(({ said }) => said.test(words))
  const what =
    status === 0 ? `the output of mmdebstrap is not a complete tar: ${String(cause)}` : `mmdebstrap ${ended(status)}`
  return new BaleError(match?.code ?? 'failed', `${what}\n${words}`.trimEnd(), { where, fix: match?.fix, cause })
}

/** `ended with status 2`, `was ended by SIGKILL`. */
export function ended(status: Failure['status']): string {
  return typeof status === 'number' ? `ended with status ${status}` : `was killed by ${status}`
}

/** Converts a failure of the file system. Returns anything else unchanged. */
export function explainWrite(error: unknown, where: string): unknown {
  if (error instanceof BaleError || !isErrno(error)) return error
  const full = error.code === 'ENOSPC' || error.code === 'EDQUOT'
  const fix = full ? 'free about 1 GB there, or give another folder' : undefined
  return new BaleError('filesystem', full ? 'the disk is full' : error.message, { where, fix, cause: error })
}

export function missingProgram(name: string): BaleError {
  const fix = 'apt-get install mmdebstrap uidmap'
  return new BaleError('engine', `making a stack needs ${name}, which is not installed`, { where: 'PATH', fix })
}
