import type { BuildContext } from '../sdk/index.ts'
import type { ManagerChoice, PackageManager } from './manager.ts'
import type { PackagePlan } from './packages.ts'
import type { Project } from './project.ts'
import type { Runtime } from './runtime.ts'
import type { BuildScripts } from './scripts.ts'

export interface BuildJob {
  readonly context: BuildContext
  readonly project: Project
  readonly choice: ManagerChoice
  readonly plan: PackagePlan
  readonly scripts: BuildScripts
  readonly node: Runtime
  readonly manager: PackageManager
  /** The commands that start the application, as far as they are known after the build has run. */
  readonly startCommands: () => Promise<readonly string[]>
}
