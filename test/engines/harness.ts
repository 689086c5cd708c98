import { execFileSync, spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, onTestFinished } from 'vitest'
import { type BubblewrapOptions, bubblewrapEngine } from '../../lifecycle/engines/bubblewrap.ts'
import type { Mount } from '../../lifecycle/engines/engine.ts'
import type { OpenEngine } from '../contracts/engines.ts'
import type { Available } from '../helpers/skip.ts'
import { landlockProgram } from '../helpers/supervisor.ts'

/** What the tests with real sandboxes need of this machine. */
export function neededTools(...names: string[]): Available<true> {
  const missing = names.filter(name => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0)
  if (missing.length === 0) return { state: 'available', value: true }
  return { state: 'missing', reason: `not installed: ${missing.join(', ')}` }
}

/** A root file system whose programs are this machine's: `usr` is shown to every run. */
export async function makeRootfs(dir: string): Promise<void> {
  const directories = ['usr', 'etc', 'var', 'proc', 'dev', 'workspace']
  await Promise.all(directories.map(name => mkdir(join(dir, name), { recursive: true })))
  await Promise.all(['bin', 'sbin', 'lib', 'lib64'].map(name => symlink(`usr/${name}`, join(dir, name))))
  await writeFile(join(dir, 'etc/passwd'), 'cnb:x:1000:1000::/home/cnb:/bin/sh\n')
  await writeFile(join(dir, 'etc/os-release'), 'ID=test\n')
}

export const usr: Mount = { hostPath: '/usr', path: '/usr', access: 'read-only' }
export const user = { uid: 1000, gid: 1000 }

let asRoot = false

/** From here on root's sandboxes are root's to the machine, as where ids cannot be mapped. */
export function stayRoot(): void {
  asRoot = true
}

/** Of BubblewrapOptions: with it, root's sandboxes are another user's to the machine. */
export const starter = (): { readonly landlock?: string } => (asRoot ? {} : { landlock: landlockProgram() })

/** Whether they are. */
export const staysRoot = (): boolean => process.geteuid?.() === 0 && asRoot

export interface OpenSandbox extends OpenEngine {
  readonly rootfs: string
  /** What holds the directories above, and can hold what no run may see. */
  readonly base: string
}

export async function openSandbox(options: Partial<BubblewrapOptions> = {}): Promise<OpenSandbox> {
  const base = await mkdtemp(join(tmpdir(), 'bale-test-'))
  onTestFinished(() => rm(base, { recursive: true, force: true }))
  const [rootfs, dir, tmpDir] = [join(base, 'rootfs'), join(base, 'dir'), join(base, 'tmp')]
  await Promise.all([makeRootfs(rootfs), mkdir(dir), mkdir(tmpDir)])
  return {
    engine: bubblewrapEngine({ rootfs, tmpDir, grace: 1000, ...starter(), ...options }),
    base,
    rootfs,
    dir,
    tmpDir,
    show: (hostPath, access) => ({ hostPath, path: hostPath.replace(dir, '/layers'), access }),
    mounts: [usr],
    network: 'none',
    user,
  }
}

/** A program for `node` that makes a sandbox, with `EngineRun` and `BubblewrapOptions` as its argument. */
export const runChild = join(import.meta.dirname, 'run-child.ts')

/** The program of landlock/main.c, built for this test file. */
export function useLandlock(): { readonly program: string } {
  let dir: string
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'bale-test-landlock-'))
    execFileSync(join(import.meta.dirname, '../../lifecycle/engines/landlock/build'), [join(dir, 'landlock')])
  })
  afterAll(() => rm(dir, { recursive: true, force: true }))
  return {
    get program() {
      return join(dir, 'landlock')
    },
  }
}

/** Whether the kernel can scope abstract unix sockets; on CI's machines it must. */
export const closesAbstractSockets = (program: string): boolean =>
  Number(spawnSync(program, { encoding: 'utf8' }).stdout) >= 6

/** probe.c at /probe, compiled for the tests of the describe block that this is called in. */
export function useProbe(): Mount {
  let tools: string
  let hostPath = ''
  beforeAll(async () => {
    tools = await mkdtemp(join(tmpdir(), 'bale-test-tools-'))
    hostPath = join(tools, 'probe')
    execFileSync('cc', ['-static', '-O1', '-Wall', '-o', hostPath, join(import.meta.dirname, 'probe.c')])
  })
  afterAll(() => rm(tools, { recursive: true, force: true }))
  return {
    get hostPath() {
      return hostPath
    },
    path: '/probe',
    access: 'read-only',
  }
}

/** For a test file that has a process of its own: it is an ordinary user's from here on, also if root started it. */
export function becomeOrdinary(): void {
  if (process.geteuid?.() !== 0) return
  process.setgroups?.([])
  process.setgid?.(54_322)
  process.setuid?.(54_321)
}
