import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { formatToml, parseToml } from '../../lifecycle/spec/toml.ts'
import type { LayerTypes, Metadata } from '../../lifecycle/spec/types.ts'
import type { Buildpack } from './buildpack.ts'
import { type Runner, spawnRunner } from './command.ts'
import { runBuildpack } from './run.ts'
import { removeSbom } from './sbom/files.ts'

/** Files by their paths: `{ 'src/main.py': 'print()' }`. */
export type Tree = Readonly<Record<string, string | Uint8Array>>

export interface ProjectOptions {
  readonly buildpack: Buildpack
  /** The folder with buildpack.toml. */
  readonly dir: string
  readonly app: Tree
  /** The user's variables. */
  readonly env?: Readonly<Record<string, string>>
  /** Replaces the programs that the buildpack runs. The default starts the real ones. */
  readonly runner?: Runner
}

export interface DetectOutcome {
  readonly exitCode: number
  readonly output: string
  /** The build plan as TOML; undefined if none was written. */
  readonly plan: Metadata | undefined
}

export interface BuildOutcome {
  readonly exitCode: number
  readonly output: string
  readonly launch: Metadata | undefined
  readonly store: Metadata | undefined
  readonly build: Metadata | undefined
  readonly layers: Readonly<Record<string, { readonly types: LayerTypes; readonly metadata: Metadata }>>
}

/**
 * An application that a test detects, builds, changes and builds again. The buildpack runs in this process; everything else is as in a
 * lifecycle. `await using` removes its directory at the end.
 */
export class TestProject implements AsyncDisposable {
  readonly root: string
  readonly #options: ProjectOptions
  #env: Readonly<Record<string, string>>

  static async create(options: ProjectOptions): Promise<TestProject> {
    const project = new TestProject(await mkdtemp(join(tmpdir(), 'buildpack-test-')), options)
    for (const dir of ['workspace', 'layers', 'platform/env']) await mkdir(join(project.root, dir), { recursive: true })
    await project.write(options.app)
    return project
  }

  private constructor(root: string, options: ProjectOptions) {
    this.root = root
    this.#options = options
    this.#env = options.env ?? {}
  }

  get appDir(): string {
    return join(this.root, 'workspace')
  }
  get layersDir(): string {
    return join(this.root, 'layers')
  }

  /** Writes files of the application. */
  async write(tree: Tree): Promise<void> {
    for (const [path, content] of Object.entries(tree)) {
      const file = join(this.appDir, path)
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, content)
    }
  }

  /** Replaces the user's variables. */
  setEnv(env: Readonly<Record<string, string>>): void {
    this.#env = env
  }

  async detect(): Promise<DetectOutcome> {
    const planPath = join(this.root, 'plan.toml')
    await rm(planPath, { force: true })
    const outcome = await this.#run('detect', { CNB_BUILD_PLAN_PATH: planPath })
    return { ...outcome, plan: await readDocument(planPath) }
  }

  async build(plan: Metadata = {}): Promise<BuildOutcome> {
    const planPath = join(this.root, 'buildpack-plan.toml')
    await writeFile(planPath, formatToml(plan))
    const outcome = await this.#run('build', { CNB_LAYERS_DIR: this.layersDir, CNB_BP_PLAN_PATH: planPath })
    const document = (name: string) => readDocument(join(this.layersDir, name))
    const layers = Object.fromEntries(
      await Promise.all((await this.#layerNames()).map(async name => [name, await this.#layer(name)] as const)),
    )
    return {
      ...outcome,
      launch: await document('launch.toml'),
      store: await document('store.toml'),
      build: await document('build.toml'),
      layers,
    }
  }

  /**
   * Does what a lifecycle does between two builds. It makes a fresh copy of the source, keeps cached layers with their metadata, and
   * keeps only the metadata of layers that are only for launch (buildpack.md, "Layer Types").
   */
  async nextBuild(changes: Tree = {}): Promise<void> {
    await rm(this.appDir, { recursive: true })
    await mkdir(this.appDir)
    await this.write({ ...this.#options.app, ...changes })
    for (const name of await this.#layerNames()) {
      const { types, metadata } = await this.#layer(name)
      const path = join(this.layersDir, name)
      const onlyLaunch = types.launch && !types.build && !types.cache
      if (!types.cache) await rm(path, { recursive: true, force: true })
      if (types.cache || onlyLaunch) await writeFile(`${path}.toml`, formatToml({ metadata }))
      else await Promise.all([rm(`${path}.toml`), removeSbom(path)])
    }
    for (const name of ['launch.toml', 'build.toml']) await rm(join(this.layersDir, name), { force: true })
  }

  /** The text of a file below the project's root: `layers/node/env/NODE_ENV.default`. */
  async read(path: string): Promise<string> {
    return readFile(join(this.root, path), 'utf8')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.root, { recursive: true, force: true })
  }

  async #run(phase: 'detect' | 'build', variables: Record<string, string>) {
    let output = ''
    const add = (text: string) => void (output += text)
    const { buildpack, dir, runner = spawnRunner } = this.#options
    const platformDir = join(this.root, 'platform')
    await rm(join(platformDir, 'env'), { recursive: true })
    await mkdir(join(platformDir, 'env'))
    for (const [name, value] of Object.entries(this.#env)) await writeFile(join(platformDir, 'env', name), value)
    const given = { PATH: process.env['PATH'], HOME: this.root, CNB_PLATFORM_DIR: platformDir, CNB_BUILDPACK_DIR: dir }
    const target = { CNB_TARGET_OS: 'linux', CNB_TARGET_ARCH: 'amd64' }
    const distro = { CNB_TARGET_DISTRO_NAME: 'debian', CNB_TARGET_DISTRO_VERSION: '13' }
    // The same variables as in bin/main: see there.
    const env = { ...given, ...target, ...distro, ...this.#env, ...variables, NODE_OPTIONS: undefined }
    const exitCode = await runBuildpack(buildpack, {
      phase,
      env,
      cwd: this.appDir,
      output: { stdout: add, stderr: add },
      runner,
    })
    return { exitCode, output }
  }

  async #layerNames(): Promise<string[]> {
    const names = (await readdir(this.layersDir)).filter(name => name.endsWith('.toml')).map(name => name.slice(0, -5))
    return names.filter(name => !['launch', 'build', 'store'].includes(name)).toSorted()
  }

  async #layer(name: string) {
    const document = (await readDocument(join(this.layersDir, `${name}.toml`))) ?? {}
    const { types, metadata } = document as { types?: Partial<LayerTypes>; metadata?: Metadata }
    return { types: { launch: false, build: false, cache: false, ...types }, metadata: metadata ?? {} }
  }
}

async function readDocument(path: string): Promise<Metadata | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : parseToml(text, path)
}
