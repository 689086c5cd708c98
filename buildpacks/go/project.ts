import { readdir } from 'node:fs/promises'
import { posix } from 'node:path'
import { type App, BuildpackError, firstSetting } from '../sdk/index.ts'
import { type ModFile, readModFile } from './mod-file.ts'

type Env = Readonly<Record<string, string>>

/** The organisation of the sources, and the working directory of the Go command, relative to the application: `.`. */
export type Project =
  | { readonly kind: 'module'; readonly dir: string; readonly mod: ModFile }
  | {
      readonly kind: 'workspace'
      readonly dir: '.'
      readonly work: ModFile
      readonly modules: readonly ModFile[]
      /** Folders that BP_GO_WORK_USE adds to the workspace. */
      readonly added: readonly string[]
    }
  /** Sources without a go.mod, from before modules. */
  | { readonly kind: 'plain'; readonly dir: '.'; readonly vendored: boolean }

/** undefined if this is not a Go application. */
export async function findProject(app: App, env: Env): Promise<Project | undefined> {
  const added = firstSetting(env, 'BP_GO_WORK_USE')?.value.split(':').filter(Boolean) ?? []
  const work = await readModFile(app, 'go.work')
  if (work !== undefined || added.length > 0) return findWorkspace(app, work, added)
  const mod = await readModFile(app, 'go.mod')
  if (mod !== undefined) return { kind: 'module', dir: '.', mod }
  const nested = await findNestedModule(app, env)
  if (nested !== undefined) return nested
  if (!(await hasSources(app))) return undefined
  return { kind: 'plain', dir: '.', vendored: await app.hasDirectory('vendor') }
}

async function findWorkspace(app: App, file: ModFile | undefined, added: readonly string[]): Promise<Project> {
  const work = file ?? { module: undefined, go: undefined, toolchain: undefined, use: [], heroku: {} }
  const uses = [...work.use, ...added.map(value => ({ value, where: 'BP_GO_WORK_USE' }))]
  const modules: ModFile[] = []
  for (const { value, where } of uses) {
    const mod = await readModFile(app, posix.join(value, 'go.mod'))
    if (mod === undefined) {
      throw new BuildpackError(`there is no ${posix.join(value, 'go.mod')}`, {
        where,
        fix: 'name the folder of a module',
      })
    }
    modules.push(mod)
  }
  return { kind: 'workspace', dir: '.', work, modules, added }
}

/** The module of a program that the user names: a repository may contain several side by side, and none at its root. */
async function findNestedModule(app: App, env: Env): Promise<Project | undefined> {
  const target = firstSetting(env, 'BP_GO_TARGETS', 'GOOGLE_BUILDABLE')?.value.split(':')[0]
  if (target === undefined || target.startsWith('/')) return undefined
  for (let dir = posix.join(target, '.'); dir !== '.' && !dir.startsWith('..'); dir = posix.dirname(dir)) {
    const mod = await readModFile(app, posix.join(dir, 'go.mod'))
    if (mod !== undefined) return { kind: 'module', dir, mod }
  }
  return undefined
}

/** True if there are sources at the root, or commands in the usual folder. */
async function hasSources(app: App): Promise<boolean> {
  const list = async (dir: string) => readdir(app.at(dir)).catch(() => [])
  const isSource = (name: string) => name.endsWith('.go') && !name.endsWith('_test.go')
  if ([...(await list('.')), ...(await list('cmd'))].some(isSource)) return true
  for (const name of await list('cmd')) if ((await list(`cmd/${name}`)).some(isSource)) return true
  return false
}

/** Every go.mod and go.work that affects the version of Go. */
export function modFiles(project: Project): ModFile[] {
  if (project.kind === 'module') return [project.mod]
  return project.kind === 'workspace' ? [project.work, ...project.modules] : []
}
