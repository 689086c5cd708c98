import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { type Node, readJson, tables, text } from '../../lifecycle/spec/read.ts'
import { DebianArchive } from '../debian/archive.ts'
import { libraryDir, unpackPackages } from '../debian/unpack.ts'
import { type BuildContext, digestOf, firstSetting, splitWords } from '../sdk/index.ts'
import { type Built, choose, findElf } from './output.ts'

interface CMake {
  readonly program: string
  readonly env: Readonly<Record<string, string>>
}

/** Configures, builds and, if there are install rules, installs into `stage`. */
export async function buildWithCMake(context: BuildContext, temp: string, stage: string): Promise<Built> {
  const { app, env, log, run } = context
  const cmake = await provideCMake(context, temp)
  const dir = join(temp, 'build')
  // Asks CMake to describe its targets (cmake-file-api(7)).
  const api = join(dir, '.cmake/api/v1')
  await mkdir(join(api, 'query'), { recursive: true })
  await writeFile(join(api, 'query/codemodel-v2'), '')
  const setting = firstSetting(env, 'BP_CMAKE_ARGUMENTS')
  const own = setting ? splitWords(setting.value, setting.name) : []
  const usual = ['-DCMAKE_BUILD_TYPE=Release', `-DCMAKE_INSTALL_PREFIX=${stage}`, '-DBUILD_TESTING=OFF']
  const options = { env: cmake.env }
  await log.step('Configuring with CMake', () =>
    run([cmake.program, '-S', app.path, '-B', dir, ...usual, ...own], { ...options, name: 'cmake', quiet: true }),
  )
  const jobs = String(availableParallelism())
  await log.step('Building', () =>
    run([cmake.program, '--build', dir, '--parallel', jobs], { ...options, name: 'cmake --build' }),
  )
  const model = await readModel(join(api, 'reply'), app.path)
  if (model.installs) {
    await log.step('Installing', () =>
      run([cmake.program, '--install', dir], { ...options, name: 'cmake --install', quiet: true }),
    )
    const installed = await installedIn(context, stage)
    if (installed.programs.length > 0) return installed
  }
  const programs = model.targets.filter(({ type }) => type === 'EXECUTABLE')
  const libraries = model.targets.filter(({ type }) => type === 'SHARED_LIBRARY')
  return {
    programs: await choose(
      context,
      programs.map(({ file, dir: source }) => ({ name: basename(file), dir: source, file: join(dir, file) })),
      model.name,
    ),
    libraries: libraries.map(({ file }) => join(dir, file)),
    made: [],
  }
}

/** The installed files below a prefix: programs, libraries, and files that programs read. */
export async function installedIn(context: BuildContext, prefix: string): Promise<Built> {
  const { programs, libraries } = await findElf(prefix)
  const inBin = programs.filter(file => /\/s?bin$/.test(dirname(file)))
  const names = await readdir(join(prefix, 'share')).catch(() => [])
  return {
    programs: await choose(
      context,
      inBin.map(file => ({ name: basename(file), dir: '.', file })),
    ),
    libraries,
    ...(names.some(name => !['man', 'doc', 'info', 'licenses'].includes(name)) && { share: join(prefix, 'share') }),
    made: [],
  }
}

interface Target {
  readonly type: string
  /** Relative to the build's directory. */
  readonly file: string
  /** The directory of its sources, relative to the application. */
  readonly dir: string
}

interface Model {
  /** The name in the first `project()`. */
  readonly name: string
  readonly targets: readonly Target[]
  readonly installs: boolean
}

/** The application's own targets, as CMake describes them, without those of downloaded projects. */
async function readModel(reply: string, app: string): Promise<Model> {
  const model: { name: string; targets: Target[]; installs: boolean } = { name: '', targets: [], installs: false }
  for (const file of (await readdir(reply)).toSorted()) {
    const document = readJson(await readFile(join(reply, file)), file)
    if (file.startsWith('codemodel-')) {
      const project = tables(document, 'configurations').flatMap(node => tables(node, 'projects'))[0]
      model.name = (project && text(project, 'name')) ?? ''
    } else if (file.startsWith('directory-')) model.installs ||= tables(document, 'installers').length > 0
    else if (file.startsWith('target-')) model.targets.push(...targetOf(document, app))
  }
  return model
}

function targetOf(document: Node, app: string): Target[] {
  const [artifact] = tables(document, 'artifacts')
  const [source] = tables(document, 'sources')
  const [type, file] = [text(document, 'type'), artifact && text(artifact, 'path')]
  const path = source && text(source, 'path')
  if (type === undefined || file === undefined || path === undefined) return []
  const dir = dirname(path.startsWith('/') ? relative(app, path) : path)
  // Sources are usually in src/: a program there counts like one beside the CMakeLists.txt.
  return dir.startsWith('..') ? [] : [{ type, file, dir: dir === 'src' ? '.' : dir }]
}

/** The build image's CMake, else Debian's packages in a build-only layer. */
async function provideCMake(context: BuildContext, temp: string): Promise<CMake> {
  const { run, target } = context
  const there = await run(['sh', '-c', 'command -v cmake'], { quiet: true, allowFailure: true })
  if (there.exitCode === 0) return { program: there.stdout.trim(), env: {} }
  const archive = await DebianArchive.open(context, temp)
  const packages = await archive.resolve(['cmake'])
  const version = packages.find(({ name }) => name === 'cmake')?.version ?? ''
  const layer = await context.layer('cmake', {
    title: `CMake ${version.replace(/-.*/, '')}`,
    types: { cache: true },
    key: { CMake: version, architecture: target.arch, 'Debian packages': digestOf(JSON.stringify(packages)) },
    create: async dir => unpackPackages(run, await archive.download(packages), dir),
  })
  context.seal(layer)
  return { program: join(layer.path, 'usr/bin/cmake'), env: { LD_LIBRARY_PATH: libraryDir(layer.path, target.arch) } }
}
