import { readdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { basename, join, relative } from 'node:path'
import { type App, type BuildContext, BuildpackError, escapeRegExp, firstSetting, splitWords } from '../sdk/index.ts'
import { installedIn } from './cmake.ts'
import { type Built, choose, findElf } from './output.ts'

/** The Makefile under GNU make's names, in GNU make's order. */
export async function findMakefile(app: App): Promise<string | undefined> {
  return app.firstOf(['GNUmakefile', 'makefile', 'Makefile'])
}

/** Runs the configure script if there is one, runs make, and installs into `stage` if the Makefile has that target. */
export async function buildWithMake(context: BuildContext, stage: string): Promise<Built> {
  const { app, env, log, run } = context
  const before = new Set(await filesIn(app.path))
  if (await app.has('configure')) {
    const setting = firstSetting(env, 'BP_CONFIGURE_ARGUMENTS')
    const own = setting ? splitWords(setting.value, setting.name) : []
    await log.step('Configuring', () =>
      run(['sh', './configure', `--prefix=${stage}`, ...own], { name: './configure', quiet: true }),
    )
  }
  const makefile = await findMakefile(app)
  if (makefile === undefined) throw new BuildpackError('it made no Makefile', { where: 'configure' })
  const setting = firstSetting(env, 'BP_MAKE_ARGUMENTS')
  const own = setting ? splitWords(setting.value, setting.name) : []
  const jobs = `-j${availableParallelism()}`
  await log.step(`Running make ${own.join(' ')}`.trim(), () => run(['make', jobs, ...own], { name: 'make' }))
  if (/^install\s*:/m.test((await app.read(makefile)) ?? '')) {
    // Both spellings are usual. DESTDIR stays empty, since the prefix already names the directory.
    await log.step('Running make install', () =>
      run(['make', 'install', `prefix=${stage}`, `PREFIX=${stage}`], { name: 'make install', quiet: true }),
    )
    const installed = await installedIn(context, stage)
    if (installed.programs.length > 0) return { ...installed, made: madePaths(await newElf(app, before), app) }
  }
  return fromSource(context, before)
}

/** The programs that a build wrote among the sources. */
export async function fromSource(context: BuildContext, before: ReadonlySet<string>): Promise<Built> {
  const { app } = context
  const found = await newElf(app, before)
  const all = found.programs.map(file => ({ name: basename(file), dir: dirOf(app, file), file }))
  return { programs: await choose(context, all), libraries: found.libraries, made: madePaths(found, app) }
}

const newElf = (app: App, before: ReadonlySet<string>) => findElf(app.path, before)

/** The directory of a program's sources: `bin/web` counts like `web`. */
function dirOf(app: App, file: string): string {
  const dir = relative(app.path, join(file, '..'))
  return ['', 'bin', 'build', 'out', 'dist', 'target'].includes(dir) ? '.' : dir
}

function madePaths({ programs, libraries }: { programs: string[]; libraries: string[] }, app: App): RegExp[] {
  return [...programs, ...libraries].map(file => new RegExp(`^${escapeRegExp(relative(app.path, file))}$`))
}

/** All existing files, by their absolute paths. */
export async function filesIn(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
}
