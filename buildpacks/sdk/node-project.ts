import { posix } from 'node:path'
import { App } from './app.ts'
import type { FrontEnd } from './front-end-tools.ts'
import { findFrontEnd } from './front-end.ts'
import { firstSetting } from './platform.ts'
import { soleFrontEnd } from './workspace.ts'

/**
 * The folder of the Node.js application: the folder of a workspace that a setting names, if it has a package.json or an Nx application
 * (`apps/web`); else the folder of the only front end if nothing else starts; else the source.
 */
export async function nodeProject(
  app: App,
  env: Readonly<Record<string, string>>,
  frontEndOf: (app: App) => Promise<FrontEnd | undefined> = findFrontEnd,
): Promise<App> {
  const named = await namedProject(app, env)
  if (named !== app || firstSetting(env, ...projectSettings) !== undefined) return named
  const only = await soleFrontEnd(app, frontEndOf)
  return only === undefined ? app : new App(app.at(only))
}

const projectSettings = ['BP_NODE_PROJECT_PATH', 'GOOGLE_BUILDABLE'] as const

/** The folder that a setting names, else the source. */
export async function namedProject(app: App, env: Readonly<Record<string, string>>): Promise<App> {
  const folder = firstSetting(env, ...projectSettings)?.value
  if (folder === undefined) return app
  const files = ['package.json', ...((await app.has('nx.json')) ? ['project.json'] : [])]
  const isThere = (await app.firstOf(files.map(file => posix.join(folder, file)))) !== undefined
  return isThere ? new App(app.at(folder)) : app
}

/** Caches the front end of each application. It is valid as long as nothing changes the files. */
export class FrontEnds {
  readonly #found = new Map<string, Promise<FrontEnd | undefined>>()
  #project: Promise<App> | undefined

  of(app: App): Promise<FrontEnd | undefined> {
    const found = this.#found.get(app.path) ?? findFrontEnd(app)
    this.#found.set(app.path, found)
    return found
  }

  /** `nodeProject` of the source. */
  project(app: App, env: Readonly<Record<string, string>>): Promise<App> {
    this.#project ??= nodeProject(app, env, each => this.of(each))
    return this.#project
  }
}
