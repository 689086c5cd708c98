import type { BuildContext, BuildResult } from '../sdk/index.ts'
import { chooseManager } from './choose.ts'
import type { ManagerJob } from './manager.ts'
import { findProject } from './project.ts'
import { Registry } from '../npm/registry.ts'
import { provideNode } from './runtime.ts'
import { requestedNode } from './version.ts'

/**
 * Puts Node.js and the package manager of a folder on the PATH of the server's build. That build installs the packages itself, since
 * some are among its own downloads: `"phoenix": "file:../deps/phoenix"`.
 */
export async function providePrograms(
  given: BuildContext,
  bundled: ManagerJob['bundled'],
  folder: string,
): Promise<BuildResult> {
  const context = { ...given, env: { ...given.env, BP_NODE_PROJECT_PATH: folder } }
  const project = await findProject(context)
  const choice = await chooseManager(context.env, project)
  const registry = new Registry(context, bundled)
  const node = await provideNode(context, registry, await requestedNode(context, project), false, project)
  const ofBuild = { launch: false, launchNpm: false, starts: false, withoutNode: false }
  await choice.kind.use({ context, registry, bundled, node, project, choice, ...ofBuild }, () => Promise.resolve())
  return {}
}

/** Puts Node.js into the image for a server in another language that calls it but has no packages for it: ExecJS. */
export async function provideRuntime(context: BuildContext, bundled: ManagerJob['bundled']): Promise<BuildResult> {
  const project = await findProject(context)
  await provideNode(context, new Registry(context, bundled), await requestedNode(context, project), true, project)
  return {}
}
