import type { BuildContext, Component, Layer, LayerKey } from '../sdk/index.ts'
import type { LockFile, LockReader } from './lock-file.ts'
import type { Project } from './project.ts'
import type { Npm, Registry } from './registry.ts'
import type { Runtime } from './runtime.ts'

export type ManagerId = 'npm' | 'yarn' | 'berry' | 'pnpm' | 'bun'

/** Which version of a package manager, and who says so: `^9` in `package.json engines.pnpm`. */
export interface ManagerRequest {
  readonly range: string
  readonly where: string
  /** Corepack's digest of the manager's archive: `sha512.0a1b…`. */
  readonly hash?: string
}

/** The package manager of an application, before anything of it is fetched. */
export interface ManagerChoice {
  readonly kind: ManagerKind
  readonly lockFile: string | undefined
  /** What it says; undefined if it is in a format for programs alone, such as bun.lockb. */
  readonly lock: LockFile | undefined
  readonly request: ManagerRequest | undefined
  /** Why it is this one: `pnpm-lock.yaml`. */
  readonly because: string
}

/** What a package manager needs to come into being. */
export interface ManagerJob {
  readonly context: BuildContext
  readonly registry: Registry
  /** The buildpack's own npm. */
  readonly bundled: Npm & { readonly engines: string }
  readonly node: Runtime
  readonly project: Project
  readonly choice: ManagerChoice
  /** It is in the image as well, since something there calls it. */
  readonly launch: boolean
  /** The application is started in the image. */
  readonly starts: boolean
  /** The application starts with Bun, and Node is not in the image. */
  readonly withoutNode: boolean
  /** npm is in the image as well, whatever the manager is: the start command calls it. */
  readonly launchNpm: boolean
}

/** The package of the registry that a manager's versions are taken from. */
export interface ManagerSource {
  readonly package: string
  readonly request: ManagerRequest
}

/** One of the package managers. Each is a file in managers/. */
export interface ManagerKind {
  readonly id: ManagerId
  /** As people write it: `Yarn`. */
  readonly name: string
  /** Lock files, the one that it prefers first. */
  readonly lockFiles: readonly string[]
  /** The one that it writes. */
  readonly newLockFile: string
  /** Commands by which start commands call it. */
  readonly commands: readonly string[]
  readonly readLock: LockReader
  /** Where it comes from, and which version; undefined if it is there already. */
  source(choice: ManagerChoice, project: Project, arch: string): Promise<ManagerSource | undefined>
  /** The program, ready to run while `work` runs. */
  use<T>(job: ManagerJob, work: (manager: PackageManager) => Promise<T>): Promise<T>
}

export interface ScriptOptions {
  /** The folder of the package.json; the top of the source if absent. */
  readonly cwd?: string
  readonly nodeEnv: string
  /** The package of the workspace, for the log. */
  readonly where?: string
}

/** What is installed: with devDependencies or without. */
export interface Installation {
  readonly dev: boolean
}

/** A package manager that is ready to work on an application, with the application's Node. */
export interface PackageManager {
  readonly version: string
  /** Variables for its commands and for everything else that the build runs: PATH, folders for caches. */
  readonly env: Readonly<Record<string, string>>
  /** As the log has it: `npm ci`. */
  readonly installTitle: string
  /**
   * All that the installed packages depend on; undefined if more than that decides, such as install scripts, and the packages are
   * installed in each build.
   */
  key(installation: Installation): Promise<LayerKey | undefined>
  /** Packages as they come, for the next build. It is sealed before a script of a package runs, unless its manager checks what it takes. */
  readonly store?: Layer
  /**
   * Installs the packages of the lock file, in the application's directory. Their scripts run at once if there is no
   * `runInstallScripts`.
   */
  install(installation: Installation): Promise<void>
  /**
   * Runs the scripts that packages and the application have for an installation, on packages that `install` has put there, in this build or in
   * an earlier one.
   */
  runInstallScripts?(installation: Installation): Promise<void>
  /**
   * For a manager whose `install` runs scripts at once: the same in two steps. What the first brings is all of the lock file's making, and may be
   * kept; the second runs in each build, as scripts could read anything.
   */
  readonly inSteps?: {
    install(installation: Installation): Promise<void>
    /** Runs the scripts of some packages, by the names of their folders. Without it, packages with scripts are installed in each build. */
    runScripts?(names: readonly string[]): Promise<void>
  }
  /** Compiles what has to be compiled of packages that came with the source. */
  rebuild(): Promise<void>
  /** Runs a script of a package.json. */
  runScript(script: string, options: ScriptOptions): Promise<void>
  /** Removes devDependencies. */
  prune(): Promise<void>
  /** Takes away what only a build needs. */
  finish?(): Promise<void>
  /** The command that starts the application where its packages are not found by Node and the shell alone. */
  startCommand?(start: { readonly command: string; readonly why: string }): string
  /** The packages that are in the image. */
  sbom(): Promise<readonly Component[]>
  /** Files and directories of packages, from the root of the project: they get a slice of the image. */
  readonly installedPaths: readonly string[]
}
