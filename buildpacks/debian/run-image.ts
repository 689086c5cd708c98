/**
 * The packages that a run image of Debian 13 brings: those of stacks/trixie, with what they depend on. They are not put into
 * layers again, so that a rebase can renew them. The names in the last line are not in it; the others cannot be installed
 * without them, so apt has to believe they are.
 */
export const runImagePackages: readonly string[] = [
  ...['base-files', 'base-passwd', 'bash', 'ca-certificates', 'coreutils', 'dash', 'debianutils', 'findutils'],
  ...['gcc-14-base', 'grep', 'gzip', 'hostname', 'libacl1', 'libattr1', 'libbz2-1.0', 'libc-bin', 'libc6', 'libcap2'],
  ...['libcrypt1', 'libdebconfclient0', 'libgcc-s1', 'libgmp10', 'liblzma5', 'libmd0', 'libpcre2-8-0', 'libselinux1'],
  ...['libssl3t64', 'libstdc++6', 'libsystemd0', 'libtinfo6', 'libzstd1', 'mawk', 'netbase', 'openssl'],
  ...['openssl-provider-legacy', 'sed', 'tar', 'tzdata', 'zlib1g'],
  ...['debconf', 'diffutils', 'dpkg', 'perl-base'],
]
