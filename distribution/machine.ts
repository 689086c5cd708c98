import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { BaleError } from '../lifecycle/errors.ts'

/** The differences between the machines that a lifecycle is made for, in the terms of Debian or npm. */
export interface Machine {
  /** The architecture in OCI images and in the tarball's name. */
  readonly arch: Arch
  /** Whether this machine is of the same kind. */
  readonly native: boolean
  readonly npmPackage: `node-linux-${'x64' | 'arm64'}`
  readonly loader: string
  /** The directory on this machine with the libraries of that one. */
  readonly libraryDir: string
  /** The Debian packages of the libraries. */
  readonly libraryPackages: readonly string[]
  readonly strip: string
}

export type Arch = 'amd64' | 'arm64'
export const archs: readonly Arch[] = ['amd64', 'arm64']

const facts = {
  amd64: { npm: 'x64', gnu: 'x86_64-linux-gnu', loader: 'ld-linux-x86-64.so.2' },
  arm64: { npm: 'arm64', gnu: 'aarch64-linux-gnu', loader: 'ld-linux-aarch64.so.1' },
} as const

export function machineFor(arch: Arch): Machine {
  const { npm, gnu, loader } = facts[arch]
  const native = npm === process.arch
  const suffix = native ? '' : `-${arch}-cross`
  return {
    arch,
    native,
    npmPackage: `node-linux-${npm}`,
    loader,
    libraryDir: native ? join('/usr/lib', gnu) : join('/usr', gnu, 'lib'),
    libraryPackages: ['libc6', 'libgcc-s1', 'libstdc++6'].map(name => name + suffix),
    strip: native ? 'strip' : `${gnu}-strip`,
  }
}

/** Runs a program of this machine, and returns its output. */
export function runTool(program: string, args: readonly string[], cwd?: string): string {
  try {
    return execFileSync(program, args, { encoding: 'utf8', cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (cause) {
    const { code, stderr } = cause as { code?: string; stderr?: string }
    const said = code === 'ENOENT' ? 'it is not installed' : stderr?.trim().split('\n').slice(-3).join('; ')
    throw new BaleError('failed', `${[program, ...args].join(' ')} failed: ${said}`, {
      fix: 'run this through npm run dist, which installs what it needs',
      cause,
    })
  }
}
