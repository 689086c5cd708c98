import type { PackageJson } from '../package-json.ts'
import type { Project } from '../project.ts'

/** Scripts of the application itself that managers run after they have installed its packages. */
const names = ['preinstall', 'install', 'postinstall', 'prepare']

/** The scripts that the project's root or a package of its workspace has, in the order in which they run. */
export function ownInstallScripts({ rootJson, json, members }: Project): string[] {
  const manifests: PackageJson[] = [rootJson, json, ...members.map(member => member.json)]
  return names.filter(name => manifests.some(({ scripts }) => scripts[name]?.trim()))
}
