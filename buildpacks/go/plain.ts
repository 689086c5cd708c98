import { mkdir, readdir } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import { type App, type BuildContext, BuildpackError, firstSetting } from '../sdk/index.ts'
import type { GoCommand } from './command.ts'
import type { Project } from './project.ts'

/**
 * Prepares sources without a go.mod. Sources with a vendor folder are compiled in a GOPATH, as before modules; others get a go.mod for
 * this build.
 */
export async function preparePlain(
  context: BuildContext,
  project: Project & { kind: 'plain' },
  go: GoCommand,
  temp: string,
): Promise<GoCommand> {
  const { app, env, log, run } = context
  const path = firstSetting(env, 'BP_GO_BUILD_IMPORT_PATH')?.value ?? (await guessImportPath(app))
  if (!/^[A-Za-z0-9][\w.~/-]*$/.test(path) || path.split('/').includes('..')) {
    throw new BuildpackError(`${JSON.stringify(path)} is not an import path`, {
      where: 'BP_GO_BUILD_IMPORT_PATH',
      fix: 'write for example "example.com/my/app"',
    })
  }
  if (project.vendored) {
    log.warning(
      `there is no go.mod: the sources are compiled as ${path} in a GOPATH`,
      'Run "go mod init" and "go mod tidy", and commit go.mod and go.sum.',
    )
    const dir = join(temp, 'gopath/src', path)
    await mkdir(dirname(dir), { recursive: true })
    await run(['cp', '-a', '--', app.path, dir], { quiet: true })
    return go.with({ cwd: dir, env: { GOPATH: join(temp, 'gopath'), GO111MODULE: 'off' } })
  }
  log.warning(
    `there is no go.mod: the sources are compiled as ${path}, with the newest version of every module they import`,
    'Run "go mod init" and "go mod tidy", and commit go.mod and go.sum.',
  )
  await go.run(['mod', 'init', path], { quiet: true })
  // Go adds imported modules that are missing.
  return go.with({ env: { GOFLAGS: `${go.env['GOFLAGS']} -mod=mod` } })
}

/**
 * The import path of the application's packages: the prefix before the name of one of its folders, in most of the imports that contain
 * one.
 */
async function guessImportPath(app: App): Promise<string> {
  const named = (await app.read('.godir'))?.trim() || importPathOf(await app.read('Godeps/Godeps.json'))
  if (named) return named
  const sources = await goFiles(app, '.', 4)
  const folders = new Set(sources.map(path => posix.dirname(path)).filter(dir => dir !== '.'))
  const counts = new Map<string, number>()
  for (const source of sources) {
    for (const [, path = ''] of ((await app.read(source)) ?? '').matchAll(
      /^\s*(?:import\s+)?(?:[\w.]+\s+)?"([\w.~/-]+)"/gm,
    )) {
      const folder = [...folders].find(dir => path.endsWith(`/${dir}`))
      if (folder === undefined) continue
      const prefix = path.slice(0, -folder.length - 1)
      counts.set(prefix, (counts.get(prefix) ?? 0) + 1)
    }
  }
  const [best] = [...counts].toSorted(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
  return best?.[0] ?? 'app'
}

function importPathOf(json: string | undefined): string | undefined {
  return /"ImportPath"\s*:\s*"([^"]+)"/.exec(json ?? '')?.[1]
}

async function goFiles(app: App, dir: string, depth: number): Promise<string[]> {
  if (depth === 0) return []
  const entries = await readdir(app.at(dir), { withFileTypes: true })
  const found: string[] = []
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = posix.join(dir, entry.name)
    if (entry.isFile() && entry.name.endsWith('.go')) found.push(path)
    const skipped = /^[._]/.test(entry.name) || ['vendor', 'testdata', 'node_modules'].includes(entry.name)
    if (entry.isDirectory() && !skipped) found.push(...(await goFiles(app, path, depth - 1)))
  }
  return found
}
