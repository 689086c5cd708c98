/**
 * The packages of a Debian 13 run image: those of stacks/trixie, with their dependencies. Layers do not repeat them, so a rebase can
 * update them. The names in the last line are not in the run image. The others cannot be installed without them, so apt has to assume
 * that they are.
 */
export const runImagePackages: readonly string[] = [
  ...['base-files', 'base-passwd', 'bash', 'ca-certificates', 'coreutils', 'dash', 'debianutils', 'findutils'],
  ...['gcc-14-base', 'grep', 'gzip', 'hostname', 'libacl1', 'libattr1', 'libbz2-1.0', 'libc-bin', 'libc6', 'libcap2'],
  ...['libcrypt1', 'libdebconfclient0', 'libgcc-s1', 'libgmp10', 'liblzma5', 'libmd0', 'libpcre2-8-0', 'libselinux1'],
  ...['libssl3t64', 'libstdc++6', 'libsystemd0', 'libtinfo6', 'libzstd1', 'mawk', 'netbase', 'openssl'],
  ...['openssl-provider-legacy', 'sed', 'tar', 'tzdata', 'zlib1g'],
  ...['debconf', 'diffutils', 'dpkg', 'perl-base'],
]
