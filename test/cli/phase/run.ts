import { join } from 'node:path'
import { main } from '../../../lifecycle/cli/phase/main.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { type Tree, writeTree } from '../../helpers/tree.ts'

/** A build environment in a directory: `/layers`, `/workspace`, `/platform` and `/cnb` are below `root`. */
export interface Place {
  readonly root: string
  readonly env: Readonly<Record<string, string>>
}

export async function place(tree: Tree): Promise<Place> {
  const root = await temporaryDirectory()
  const dirs = ['layers', 'workspace', 'platform/env', 'cnb/buildpacks', 'cnb/build-config/env']
  await writeTree(root, Object.fromEntries(dirs.map(dir => [dir, { dir: true }])))
  await writeTree(root, tree)
  return {
    root,
    env: {
      CNB_PLATFORM_API: '0.15',
      CNB_LAYERS_DIR: join(root, 'layers'),
      CNB_APP_DIR: join(root, 'workspace'),
      CNB_PLATFORM_DIR: join(root, 'platform'),
      CNB_BUILDPACKS_DIR: join(root, 'cnb/buildpacks'),
      CNB_BUILD_CONFIG_DIR: join(root, 'cnb/build-config'),
      CNB_ORDER_PATH: join(root, 'cnb/order.toml'),
      CNB_SYSTEM_PATH: join(root, 'cnb/system.toml'),
      CNB_NO_COLOR: 'true',
      CNB_REGISTRY_AUTH: '{"r.io": "Basic c2VjcmV0LWNhbmFyeQ=="}',
      PATH: process.env['PATH'] as string,
      HOME: root,
    },
  }
}

interface RunOptions {
  readonly args?: readonly string[]
  readonly uid?: number
  readonly more?: Readonly<Record<string, string | undefined>>
  /** Instead of keeping all that is printed. */
  readonly onOutput?: (text: string) => void
}

/** Runs a phase binary in this process, as an ordinary user; what it printed and its exit status. */
export async function runBinary(
  name: string,
  { env }: Place,
  { args = [], uid = 1000, more = {}, onOutput }: RunOptions = {},
): Promise<{ code: number; output: string }> {
  let output = ''
  const code = await main(
    [`/cnb/lifecycle/${name}`, ...args],
    { ...env, ...more },
    {
      write: onOutput ?? (text => void (output += text)),
      user: { uid, gid: 1000 },
      signal: new AbortController().signal,
      become: () => {},
      program: binary => [`/cnb/lifecycle/${binary}`],
      supervisor: '/cnb/lifecycle/supervisor',
      landlock: '/cnb/lifecycle/landlock',
    },
  )
  return { code, output }
}
