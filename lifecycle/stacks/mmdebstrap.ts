import { type Emulator, registerCommands } from '../processes/emulation.ts'
import type { ImageDescription, StackDescription } from './description.ts'
import type { Archive } from './machine.ts'

/** The input of one call of mmdebstrap. */
export interface MmdebstrapRun {
  readonly stack: StackDescription
  readonly image: ImageDescription
  /** Debian's name for the architecture. */
  readonly architecture: string
  readonly archive: Archive
  /** A file with `archive.sources`, which the new root's apt reads. */
  readonly sourcesFile: string
  /** `root` really mounts and owns files; `unshare` does so in a user namespace, and makes one for an ordinary user. */
  readonly mode: 'root' | 'unshare'
  /** The emulator for the image's programs, with a directory to mount binfmt_misc on, if they are for another architecture. */
  readonly emulation?: (Emulator & { readonly dir: string }) | undefined
}

/** The variable that passes apt's settings to a hook: other users of the machine cannot read it, unlike arguments. */
export const settingsVariable = 'BALE_APT_SETTINGS'

/** The variable with the entry for binfmt_misc. */
export const emulatorVariable = 'BALE_EMULATOR'

/** The machine's network settings as text for an apt.conf. They are not in the image: see `isDropped`. */
export function aptSettings(archive: Archive): string {
  const passwords = ['Dir::Etc::netrc "/etc/apt/auth.conf";', 'Dir::Etc::netrcparts "/etc/apt/auth.conf.d/";']
  return [...passwords, ...archive.settings].join('\n')
}

/** The file where a hook records the date of the newest file that came from a package, in seconds since 1970. */
export const newestNote = '.bale-newest'

/** The arguments of mmdebstrap(1) that write an image's tree, as a tar, to standard output. */
export function mmdebstrapArguments({
  stack,
  image,
  architecture,
  archive,
  sourcesFile,
  mode,
  emulation,
}: MmdebstrapRun): string[] {
  const options = [
    `--mode=${mode}`,
    `--variant=${image.essential ? 'essential' : 'custom'}`,
    '--format=tar',
    `--architectures=${architecture}`,
    `--components=${stack.debian.components.join(',')}`,
    `--include=${[...image.packages, ...image.remove].join(',')}`,
    '--dpkgopt=force-unsafe-io', // the tree is temporary: no need to wait for the disk
    // The emulator is known to work, but mmdebstrap would look for it outside of its namespaces.
    ...(emulation === undefined ? [] : ['--skip=check/qemu']),
    ...(emulation?.registration === undefined ? [] : [`--setup-hook=${registers(emulation.dir)}`]),
    ...hooks(image),
  ]
  // Without sources, mmdebstrap knows the address of the archive but, on some systems such as Ubuntu, not its keys.
  const mirror = archive.sources === undefined ? [] : [sourcesFile]
  if (archive.sources === undefined && archive.keyring !== undefined) options.push(`--keyring=${archive.keyring}`)
  return [...options, stack.debian.suite, '-', ...mirror]
}

/** mmdebstrap runs hooks in its own user namespace, for which the emulator is registered before the first program runs. */
const registers = (dir: string): string => `set -- ${quoted(dir)} "$${emulatorVariable}"; ${registerCommands}`

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

/** Shell commands that mmdebstrap runs with the new root's path as $1. */
function hooks(image: ImageDescription): string[] {
  const start = '.bale-start'
  // Files from packages have the packages' dates; files of maintainer scripts are newer than the start.
  const newest = `find "$1/usr" -type f ! -newer "$1/${start}" -printf '%Ts\\n' | sort -n | tail -n 1 >"$1/${newestNote}"`
  // dpkg removes itself, too. --force-* is safe for the remaining packages, which are already configured.
  // Its warnings about this are shown only if it fails.
  const purge = `dpkg --purge --force-depends --force-remove-essential ${image.remove.join(' ')}`
  const remove = `said=$(chroot "$1" ${purge} 2>&1) || { printf '%s\\n' "$said" >&2; exit 1; }`
  return [
    `--setup-hook=touch "$1/${start}"; printf '%s\\n' "$${settingsVariable}" >"$1/etc/apt/apt.conf.d/99bale"`,
    `--customize-hook=${newest}`,
    ...(image.remove.length > 0 ? [`--customize-hook=${remove}`] : []),
    ...(image.only.length > 0 ? [`--customize-hook=${removeAllBut(image.only)}`] : []),
  ]
}

/**
 * Removes all other packages, with the machine's dpkg, which mmdebstrap needs anyway: the image's own dpkg would remove itself and
 * the shell for the packages' scripts. The scripts do not run: the files that they would clean up are not in the image (see `isUseless`
 * in rules.ts).
 */
function removeAllBut(packages: readonly string[]): string {
  const kept = packages.map(name => `-e ${name}`).join(' ')
  const show = `dpkg-query --admindir="$1/var/lib/dpkg" --show --showformat '\${Package}\\n'`
  const scripts = '"$1/var/lib/dpkg/info/$name".p* "$1/var/lib/dpkg/info/$name":*.p*'
  return [
    `others=$(${show} | grep -v -x -F ${kept})`,
    `for name in $others; do rm -f ${scripts}; done`,
    `said=$(dpkg --root="$1" --purge --force-all $others 2>&1) || { printf '%s\\n' "$said" >&2; exit 1; }`,
  ].join('; ')
}
