import { App } from '../../buildpacks/sdk/index.ts'
import { temporaryDirectory } from './temporary.ts'
import { type Tree, writeTree } from './tree.ts'

/** An application as buildpacks see it, in a new directory. */
export async function appOf(tree: Tree): Promise<App> {
  const path = await temporaryDirectory()
  await writeTree(path, tree)
  return new App(path)
}
