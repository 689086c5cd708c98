import type { BuildContext, Component, Layer, LayerKey } from '../sdk/index.ts'
import type { LockFile, LockReader } from './lock-file.ts'
import type { Project } from './project.ts'
import type { Npm, Registry } from '../npm/registry.ts'
import type { Runtime } from './runtime.ts'

export type ManagerId = 'npm' | 'yarn' | 'berry' | 'pnpm' | 'bun'

/** A requested version of a package manager, and the place of the request: `^9` in `package.json engines.pnpm`. */
export interface ManagerRequest {
  readonly range: string
  readonly where: string
  /** Corepack's digest of the manager's archive: `sha512.0a1b…`. */
  readonly hash?: string
}

/** The package manager of an application, before anything of it is downloaded. */
export interface ManagerChoice {
  readonly kind: ManagerKind
  readonly lockFile: string | undefined
  /** The lock file's content; undefined for a binary format, such as bun.lockb. */
  readonly lock: LockFile | undefined
  readonly request: ManagerRequest | undefined
  /** Places that ask for other versions of the manager, as texts for warnings. */
  readonly contradictions: readonly string[]
  /** The reason for the choice: `pnpm-lock.yaml`. */
  readonly because: string
}

/** The input for setting up a package manager. */
export interface ManagerJob {
  readonly context: BuildContext
  readonly registry: Registry
  /** The buildpack's own npm. */
  readonly bundled: Npm & { readonly engines: string }
  readonly node: Runtime
  readonly project: Project
  readonly choice: ManagerChoice
  /** The image contains the manager as well, since something there calls it. */
  readonly launch: boolean
  /** The application is started in the image. */
  readonly starts: boolean
  /** The application starts with Bun, and Node is not in the image. */
  readonly withoutNode: boolean
  /** The image also contains npm, beside any manager: the start command calls it. */
  readonly launchNpm: boolean
}

/** The registry's package that provides a manager's versions. */
export interface ManagerSource {
  readonly package: string
  readonly request: ManagerRequest
  /** The release line of the lock file or of Node, if the request allows other lines as well: `>=9` does not ask for the newest. */
  readonly preferred?: ManagerRequest
}

/** One of the package managers. Each is a file in managers/. */
export interface ManagerKind {
  readonly id: ManagerId
  /** The name for users: `Yarn`. */
  readonly name: string
  /** Lock files, the preferred one first. */
  readonly lockFiles: readonly string[]
  /** The lock file that it writes. */
  readonly newLockFile: string
  /** The commands that start commands use for it. */
  readonly commands: readonly string[]
  readonly readLock: LockReader
  /** The versions that can install from a lock file of a format, as a range. */
  readers(format: string): string
  /** The origin and the version; undefined if the manager is already available. */
  source(choice: ManagerChoice, project: Project, arch: string): Promise<ManagerSource | undefined>
  /** Sets up the program, which is usable while `work` runs. */
  use<T>(job: ManagerJob, work: (manager: PackageManager) => Promise<T>): Promise<T>
}

export interface ScriptOptions {
  /** The folder of the package.json; the default is the root of the source. */
  readonly cwd?: string
  readonly nodeEnv: string
  /** The package of the workspace, for the log. */
  readonly where?: string
}

/** Whether devDependencies are installed as well. */
export interface Installation {
  readonly dev: boolean
}

/** A package manager that is ready to work on an application with its Node. */
export interface PackageManager {
  readonly version: string
  /** Variables for its commands and for everything else that the build runs: PATH, folders for caches. */
  readonly env: Readonly<Record<string, string>>
  /** The command in the log: `npm ci`. */
  readonly installTitle: string
  /**
   * The key of the installed packages. undefined if it cannot be determined, for example because of install scripts; then the packages
   * are installed in each build.
   */
  key(installation: Installation): Promise<LayerKey | undefined>
  /**
   * Downloaded packages, for the next build. The store is sealed before a script of a package runs, unless its manager checks what it
   * reads from it.
   */
  readonly store?: Layer
  /** Installs the packages of the lock file in the application's directory. Without `runInstallScripts`, this also runs their scripts. */
  install(installation: Installation): Promise<void>
  /**
   * Runs the install scripts of packages and of the application, on packages that `install` has installed in this build or in an
   * earlier one.
   */
  runInstallScripts?(installation: Installation): Promise<void>
  /**
   * For a manager whose `install` also runs scripts: the same in two steps. The lock file determines the result of the first step,
   * which may be kept. The second step runs in each build, since scripts could read anything.
   */
  readonly inSteps?: {
    install(installation: Installation): Promise<void>
    /** Runs the scripts of some packages, by the names of their folders. Without it, packages with scripts are installed in each build. */
    runScripts?(names: readonly string[]): Promise<void>
  }
  /** Compiles the native modules of packages in the source. */
  rebuild(): Promise<void>
  /** Runs a script of a package.json. */
  runScript(script: string, options: ScriptOptions): Promise<void>
  /** Removes devDependencies. */
  prune(): Promise<void>
  /** Removes what only a build needs. */
  finish?(): Promise<void>
  /** The command that starts the application, if Node and the shell alone do not find its packages. */
  startCommand?(start: { readonly command: string; readonly why: string }): string
  /** The packages in the image. */
  sbom(): Promise<readonly Component[]>
  /** Files and directories of packages, relative to the project's root. They get a slice of the image. */
  readonly installedPaths: readonly string[]
}
