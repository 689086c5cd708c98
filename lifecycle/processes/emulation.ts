import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { BaleError } from '../errors.ts'
import { findProgram } from './find-program.ts'
import { systemPath } from './launch.ts'

/** An emulator for programs of another architecture: qemu's user emulation, which the kernel starts for their file format. */
export interface Emulator {
  /** OCI's name of the architecture. */
  readonly architecture: string
  /**
   * An entry for binfmt_misc, to register in the user namespace in which those programs run (Linux 6.7). Absent if
   * the machine has one for all of its programs.
   */
  readonly registration?: string
}

/** By OCI's name of an architecture: qemu's name, and ELF's number (EM_X86_64, EM_AARCH64). */
const machines: Readonly<Record<string, { readonly qemu: string; readonly elf: string }>> = {
  amd64: { qemu: 'x86_64', elf: '\\x3e\\x00' },
  arm64: { qemu: 'aarch64', elf: '\\xb7\\x00' },
}

/** The start of a 64-bit ELF file: little-endian, version 1, and the type, a program or a position-independent one. */
const magic = (elf: string): string => `\\x7fELF\\x02\\x01\\x01${'\\x00'.repeat(9)}\\x02\\x00${elf}`
/** In the header, the byte for the operating system, the padding and the lowest bit of the type may differ. */
const mask = `${'\\xff'.repeat(7)}\\x00${'\\xff'.repeat(8)}\\xfe\\xff\\xff\\xff`

/**
 * Shell commands that register `registration` (their second argument) with binfmt_misc of their user namespace,
 * mounted at the directory of their first argument.
 */
export const registerCommands =
  'mount -t binfmt_misc binfmt_misc "$1" && printf %s "$2" >"$1/register" || exit; shift 2'

/** The inputs of `findEmulator`, for tests. */
export interface EmulationPlaces {
  /** The machine's binfmt_misc. */
  readonly binfmt?: string
  /** Directories with programs, separated by colons. */
  readonly path?: string
  /** Tries whether a new user namespace accepts the registration. */
  readonly tryRegistration?: (registration: string) => Promise<boolean>
}

/**
 * @param architecture OCI's name of an architecture other than this machine's
 * @throws BaleError 'engine' if this machine cannot run its programs, with what to install
 */
export async function findEmulator(architecture: string, places: EmulationPlaces = {}): Promise<Emulator> {
  const { binfmt = '/proc/sys/fs/binfmt_misc', path = systemPath, tryRegistration = registers } = places
  const machine = machines[architecture]
  if (machine === undefined)
    throw cannotRun(architecture, 'Bale has no emulator for it', `use one of ${Object.keys(machines).join(', ')}`)
  const entry = `qemu-${machine.qemu}`
  const registered = await flagsOf(join(binfmt, entry))
  const lacking = registered === undefined ? undefined : ['F', 'O'].filter(flag => !registered.includes(flag))
  if (lacking?.length === 0) return { architecture }
  const name = `qemu-${machine.qemu}-static`
  const program = await findProgram(name, path)
  if (program === undefined) {
    const ofMachine =
      lacking === undefined ? '' : `, and the machine's own, ${entry}, lacks the flag ${lacking.join(' and ')}`
    throw cannotRun(
      architecture,
      `${name} is not installed${ofMachine}`,
      'apt-get install qemu-user-static, or the like',
    )
  }
  // P: programs see their own name. F: the kernel opens the emulator now, since the programs' root file system lacks it.
  // O: the kernel opens the program for the emulator, since one that may be executed need not be readable.
  const registration = `:qemu-${machine.qemu}:M::${magic(machine.elf)}:${mask}:${program}:FOP`
  if (await tryRegistration(registration)) return { architecture, registration }
  throw cannotRun(
    architecture,
    'ordinary users cannot register an emulator on this kernel (they can from Linux 6.7 on), and the machine has no emulator that was registered with the flags F and O',
    'apt-get install qemu-user-static binfmt-support, or the like; or use a newer kernel',
  )
}

const cannotRun = (architecture: string, why: string, fix: string): BaleError =>
  new BaleError('engine', `this machine cannot run programs for linux/${architecture}: ${why}`, { fix })

/**
 * The flags of an entry of binfmt_misc; undefined if it is missing or disabled. Only with F does the kernel find the emulator from
 * another root file system, and only with O does the emulator run programs that it cannot read.
 */
async function flagsOf(entry: string): Promise<string | undefined> {
  const text = await readFile(entry, 'utf8').catch(() => '')
  return /^enabled$/m.test(text) ? (/^flags: (\w*)/m.exec(text)?.[1] ?? '') : undefined
}

async function registers(registration: string): Promise<boolean> {
  const dir = await mkdtemp(join(tmpdir(), 'bale-binfmt-'))
  try {
    const argv = ['--user', '--map-root-user', '--mount', '--', 'sh', '-c', registerCommands, 'sh', dir, registration]
    await promisify(execFile)('unshare', argv, { env: { PATH: systemPath } })
    return true
  } catch {
    return false
  } finally {
    await rm(dir, { recursive: true })
  }
}
