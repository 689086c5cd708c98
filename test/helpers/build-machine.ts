import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Engine, EngineRun } from '../../lifecycle/engines/engine.ts'
import { formatEvent } from '../../lifecycle/event-stream.ts'
import type { BuildEvent, DetectResult } from '../../lifecycle/events.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import type { BuildOptions } from '../../lifecycle/platform/build-options.ts'
import { layoutStore } from '../../lifecycle/stores/layout/store.ts'
import { recorder } from '../phases/harness.ts'
import { configOf, layerOf, platform } from './images.ts'
import { temporaryDirectory } from './temporary.ts'
import { type Tree, writeTree } from './tree.ts'

// A machine whose builds run without a sandbox: a fake engine writes the files that detector and builder would write.

type Phase = 'detector' | 'builder'
export type Script = (run: EngineRun, mounted: (path: string) => string) => Promise<number | void>

/** Runs a function for each phase binary, with the arguments that the sandbox would get. */
export function fakeEngine(scripts: Readonly<Record<Phase, Script>>): Engine & { readonly runs: EngineRun[] } {
  const runs: EngineRun[] = []
  return {
    name: 'unsandboxed',
    runs,
    check: () => Promise.resolve(),
    async run(run, signal) {
      signal?.throwIfAborted()
      runs.push(run)
      const mounted = (path: string): string => run.mounts.find(m => m.path === path)?.hostPath ?? ''
      const code = await scripts[run.argv.at(-1) as Phase](run, mounted)
      return { code: code ?? 0 }
    },
  }
}

export const group = '[[group]]\nid = "test/bp"\nversion = "1.0.0"\napi = "0.12"\n'
export const detects =
  (text = group): Script =>
  async (_run, mounted) => {
    await writeTree(mounted('/layers'), { 'group.toml': text, 'plan.toml': '' })
  }
export const builds =
  (tree: Tree = {}): Script =>
  async (_run, mounted) => {
    await writeTree(mounted('/layers'), {
      'config/metadata.toml': '[[processes]]\ntype = "web"\ncommand = ["run"]\nbuildpack-id = "test/bp"\n',
      'test_bp/deps/file': 'dependency',
      'test_bp/deps.toml': '[types]\nlaunch = true\ncache = true\n',
      ...tree,
    })
  }

export const passed: DetectResult = {
  id: 'test/bp',
  version: '1.0.0',
  status: 'passed',
  optional: false,
  output: 'found main.js\nand more',
}
export const failed: DetectResult = {
  ...passed,
  id: 'test/other',
  status: 'failed',
  exitCode: 100,
  output: 'no go.mod',
}
/** plan.toml with a requirement of a version of Node.js. */
export const needs = (version: string) =>
  `[[entries]]\n[[entries.providers]]\nid = "test/bp"\nversion = "1.0.0"\n[[entries.requires]]\nname = "node"\n[entries.requires.metadata]\nversion = "${version}"\n`

/** Prints the lines of a detector, and writes its files. */
export const tells =
  (results: readonly DetectResult[] = [failed, passed], planToml = needs('22')): Script =>
  async (run, mounted) => {
    const event: BuildEvent = { type: 'detected', results: [...results], group: [{ id: 'test/bp', version: '1.0.0' }] }
    await run.onOutput('stdout', Buffer.from(`${formatEvent(event)}\n`))
    await writeTree(mounted('/layers'), { 'group.toml': group, 'plan.toml': planToml })
  }

/** A machine with a stack, a builder and the source of an app. */
export async function machine(engine: Engine, builderToml = '') {
  const root = await temporaryDirectory()
  const dataDir = join(root, 'data')
  const stackToml = 'id = "test"\n'
  await writeTree(root, {
    'builder/builder.toml': `[[buildpacks]]\nuri = "bp"\n[[order]]\n[[order.group]]\nid = "test/bp"\n[stack]\nuri = "stack"\n${builderToml}`,
    'builder/bp/buildpack.toml': 'api = "0.12"\n[buildpack]\nid = "test/bp"\nversion = "1.0.0"\n',
    'builder/stack/stack.toml': stackToml,
    'dist/lifecycle/phase.cjs': '',
    'dist/launcher': 'the launcher',
    'dist/runtime/dispatcher': 'starts Node',
    'app/main.js': 'main',
  })
  const stackDir = join(dataDir, 'stacks/stack-amd64')
  await mkdir(join(stackDir, 'build-root'), { recursive: true, mode: 0o700 })
  const local = layoutStore(join(dataDir, 'images'))
  const layer = await local.putLayer(await layerOf({ '/etc/os-release': 'ID=debian\nVERSION_ID=13\n' }))
  await local.putImage(makeImage(configOf(), [layer]), ['bale.local/stacks/stack:run'])
  const record = {
    key: createHash('sha256').update(stackToml).digest('hex'),
    id: 'test',
    buildRoot: 'build-root',
    buildConfig: configOf({ config: { Env: ['CNB_USER_ID=1000', 'CNB_GROUP_ID=1000', 'PATH=/usr/bin'] } }),
    runImage: 'bale.local/stacks/stack:run',
  }
  await writeFile(join(stackDir, 'stack.json'), JSON.stringify(record), { mode: 0o600 })
  const reporter = recorder()
  const options: BuildOptions = {
    image: 'app',
    path: join(root, 'app'),
    builder: join(root, 'builder'),
    reporter,
    settings: {
      dataDir,
      cacheDir: join(root, 'cache'),
      platform,
      engine: () => engine,
      findEmulator: architecture => Promise.resolve({ architecture }),
      environment: { HTTP_PROXY: 'http://proxy', SECRET: 'canary' },
      dockerConfig: '/nonexistent',
      dockerSocket: '/nonexistent',
      registryAuth: '{"r.example":"Basic canary"}',
    },
    distribution: {
      root: join(root, 'dist'),
      lifecycleDir: join(root, 'dist/lifecycle'),
      builder: join(root, 'builder'),
      launcher: () => join(root, 'dist/launcher'),
      landlock: join(root, 'dist/landlock'),
      node: process.execPath,
    },
  }
  const pull = () => local.pull('index.docker.io/library/app:latest', platform)
  return { root, options, reporter, pull }
}
