import { describe, expect, it } from 'vitest'
import { type Facts, explainRefusal } from '../../lifecycle/engines/explain-failure.ts'

const facts: Facts = { maxUserNamespaces: 63_000, inContainer: false, bwrap: '/usr/bin/bwrap' }
const refused =
  'bwrap: No permissions to create new namespace, likely because the kernel does not allow non-privileged user namespaces.\n'

describe('why there is no sandbox', () => {
  it.each([
    ['a sysctl of Debian', refused, { unprivilegedClone: 0 }, 'kernel.unprivileged_userns_clone=1'],
    ['a sysctl of all', refused, { maxUserNamespaces: 0 }, 'user.max_user_namespaces=15000'],
    [
      "Ubuntu's AppArmor",
      'bwrap: setting up uid map: Permission denied',
      { apparmorRestricts: 1 },
      '/etc/apparmor.d/bwrap',
    ],
    [
      "Ubuntu's AppArmor, later",
      'bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted',
      { apparmorRestricts: 1 },
      '/etc/apparmor.d/bwrap',
    ],
    [
      'a container',
      'bwrap: Creating new namespace failed: Operation not permitted',
      { inContainer: true },
      'run the phase binaries',
    ],
    [
      "a container's /proc",
      "bwrap: Can't mount proc on /newroot/proc: Operation not permitted",
      { inContainer: true },
      'systempaths=unconfined',
    ],
    ['a container on Ubuntu', refused, { inContainer: true, apparmorRestricts: 1 }, 'run the phase binaries'],
    [
      'newuidmap without its rights',
      'newuidmap: write to uid_map failed: Operation not permitted\n',
      {},
      'install --reinstall uidmap',
    ],
    [
      'no_new_privs',
      'newgidmap: write to gid_map failed: Operation not permitted\n',
      { noNewPrivileges: true, inContainer: true },
      'without --security-opt no-new-privileges',
    ],
    ['a root without rights', 'sh: 8: cannot create /proc/7/uid_map: Permission denied\n', {}, 'run Bale on a machine'],
    [
      'a cache directory on an overlay',
      'mount: /cache/root: wrong fs type, bad option, bad superblock on overlay, missing codepage or helper program, or other error.\n       dmesg(1) may have more information.\n',
      {},
      'XDG_CACHE_HOME',
    ],
    ['who knows what', refused, {}, 'run the phase binaries'],
  ] as [string, string, Partial<Facts>, string][])('%s: with what to do', (_name, said, changes, fix) => {
    const error = explainRefusal(said, { ...facts, ...changes })
    expect(error).toMatchObject({ code: 'engine', where: '/usr/bin/bwrap' })
    expect(error.fix).toContain(fix)
    expect(error.message).toContain(said.replace('bwrap: ', '').trim().replace(/\n */, ' '))
    expect(error.message).not.toContain('\n')
  })

  it("other troubles are told in bubblewrap's words, without a guess", () => {
    const said = 'bwrap: execvp /cnb/lifecycle/node: No such file or directory\n'
    const error = explainRefusal(said, { ...facts, inContainer: true, apparmorRestricts: 1 })
    expect(error.message).toBe(
      'bubblewrap cannot start the program: execvp /cnb/lifecycle/node: No such file or directory',
    )
    expect(error.fix).toBeUndefined()
  })

  it('silence is told as such', () => {
    expect(explainRefusal('', facts).message).toBe('bubblewrap ended without saying why')
  })
})
