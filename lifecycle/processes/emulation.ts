import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { BaleError } from '../errors.ts'
import { findProgram } from './find-program.ts'
import { systemPath } from './launch.ts'

/** What runs programs of another architecture on this machine: qemu's user emulation, which the kernel starts by their format. */
export interface Emulator {
  /** As OCI names it. */
  readonly architecture: string
  /**
   * An entry for binfmt_misc, to be registered in the user namespace in which those programs are to run (Linux 6.7). Absent where
   * the machine has one for all of its programs.
   */
  readonly registration?: string
}

/** By OCI's name of an architecture: qemu's name, and ELF's number (EM_X86_64, EM_AARCH64). */
const machines: Readonly<Record<string, { readonly qemu: string; readonly elf: string }>> = {
  amd64: { qemu: 'x86_64', elf: '\\x3e\\x00' },
  arm64: { qemu: 'aarch64', elf: '\\xb7\\x00' },
}

/** The start of an ELF file of 64 bits, little-endian, version 1, and the type: a program, or one that can be moved. */
const magic = (elf: string): string => `\\x7fELF\\x02\\x01\\x01${'\\x00'.repeat(9)}\\x02\\x00${elf}`
/** Of the head, the byte for the operating system and the padding may differ, and the lowest bit of the type. */
const mask = `${'\\xff'.repeat(7)}\\x00${'\\xff'.repeat(8)}\\xfe\\xff\\xff\\xff`

/**
 * Shell commands that register `registration` (their second argument) with a binfmt_misc of the user namespace that they run in,
 * mounted at the directory that is their first.
 */
export const registerCommands =
  'mount -t binfmt_misc binfmt_misc "$1" && printf %s "$2" >"$1/register" || exit; shift 2'

/** What `findEmulator` looks at, for tests. */
export interface EmulationPlaces {
  /** The machine's binfmt_misc. */
  readonly binfmt?: string
  /** Where programs are, separated by colons. */
  readonly path?: string
  /** Whether a namespace of ours takes that registration. */
  readonly tryRegistration?: (registration: string) => Promise<boolean>
}

/**
 * @param architecture as OCI names it, another one than this machine's
 * @throws BaleError 'engine' if this machine cannot run its programs, saying what to install
 */
export async function findEmulator(architecture: string, places: EmulationPlaces = {}): Promise<Emulator> {
  const { binfmt = '/proc/sys/fs/binfmt_misc', path = systemPath, tryRegistration = registers } = places
  const machine = machines[architecture]
  if (machine === undefined)
    throw cannotRun(architecture, 'Bale knows no emulator for it', `use one of ${Object.keys(machines).join(', ')}`)
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
  // P: programs see their own name. F: the kernel opens the emulator now, which is not in the root file system of the programs.
  // O: the kernel opens the program for the emulator, since one that may be executed need not be readable.
  const registration = `:qemu-${machine.qemu}:M::${magic(machine.elf)}:${mask}:${program}:FOP`
  if (await tryRegistration(registration)) return { architecture, registration }
  throw cannotRun(
    architecture,
    'ordinary users register no emulator here (Linux 6.7 and newer let them), and the machine has none that was registered with the flags F and O',
    'apt-get install qemu-user-static binfmt-support, or the like; or use a newer kernel',
  )
}

const cannotRun = (architecture: string, why: string, fix: string): BaleError =>
  new BaleError('engine', `this machine cannot run programs for linux/${architecture}: ${why}`, { fix })

/**
 * The flags of an entry of binfmt_misc; undefined where there is none, or one that is disabled. Only with F is the emulator found from
 * another root file system, and only with O does it run what it cannot read.
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
