// Makes dist/bale/, from which Bale runs: bundles of the program, the phase binaries and the buildpacks,
// the launcher, the default builder and its stack. bin/bale calls it when a source is newer than dist/bale/stamp.
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildDeflate } from './build-deflate.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const home = join(root, 'dist', 'bale')
const options = {
  bundle: true,
  platform: 'node',
  target: 'node22',
  legalComments: 'none',
  logLevel: 'warning',
  absWorkingDir: root,
}
const library = {
  ...options,
  format: 'esm',
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  outExtension: { '.js': '.mjs' },
  // CommonJS dependencies load Node's own modules with require. A buildpack bundles the SDK into CommonJS, which has no import.meta.
  banner: {
    js: "const require = id => process.getBuiltinModule(id) ?? (() => { throw Object.assign(new Error(`Cannot find module '${id}'`), { code: 'MODULE_NOT_FOUND' }) })();",
  },
}
/** The modules that a program may import: 'bale', 'bale/sdk' and 'bale/sdk/testing'. */
const libraries = {
  index: 'lifecycle/index.ts',
  sdk: 'buildpacks/sdk/index.ts',
  'sdk-testing': 'buildpacks/sdk/testing.ts',
}
/** Large libraries, each in a file that is loaded on use; see lifecycle/stores/undici.ts. */
const undici = { undici: 'lifecycle/stores/undici.ts' }
const otherClients = {
  'redis-client': 'lifecycle/caches/storage/redis-client.ts',
  'kubernetes-client': 'lifecycle/platform/kubernetes/kubernetes-client.ts',
}
const clients = { ...undici, ...otherClients }
const librariesApart = {
  name: 'libraries-apart',
  setup(build) {
    build.onResolve({ filter: /\/[a-z-]+\.ts$/ }, ({ path, kind }) => {
      const name = /([a-z-]+)\.ts$/.exec(path)[1]
      return kind === 'entry-point' || !(name in clients) ? undefined : { path: `./${name}.cjs`, external: true }
    })
  },
}
/**
 * Stores use HTTP/1.1 alone; the client of Kubernetes does not. Node's HTTP/2 would load TLS as well: 15 ms in each process that asks a
 * registry without TLS.
 */
const withoutHttp2 = {
  name: 'without-http2',
  setup(build) {
    build.onResolve({ filter: /^node:http2$/ }, () => ({ path: 'http2', namespace: 'without-http2' }))
    // undici's own stand-in, for a Node without HTTP/2.
    build.onLoad({ filter: /^http2$/, namespace: 'without-http2' }, () => ({ contents: 'exports.constants = {}' }))
  },
}
// A build starts Node several times, and CommonJS in one file starts 10 ms sooner than the same as an ES module.
const program = {
  ...options,
  format: 'cjs',
  outExtension: { '.js': '.cjs' },
  define: { 'import.meta.url': '__url' },
  supported: { 'dynamic-import': false },
  banner: { js: "const __url = require('node:url').pathToFileURL(__filename).href;" },
  plugins: [librariesApart],
}
const withRegistries = { ...program, plugins: [librariesApart, withoutHttp2] }

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle()

/**
 * Bundles the phase binaries into one folder without subfolders, as a lifecycle's tarball requires. Returns their sources,
 * as paths from the root. V8's compiled code is for one kind of machine only.
 */
export async function bundlePhases(out, { precompiled = true } = {}) {
  const { build } = await import('esbuild')
  const { metafile } = await build({
    ...withRegistries,
    entryPoints: { phase: 'lifecycle/cli/phase.ts', ...undici },
    outdir: out,
    metafile: true,
  })
  await buildDeflate({ bundle: out })
  if (precompiled) {
    precompile(out, 'phase', 'all')
    precompile(out, 'undici', 'loaded')
  }
  return Object.keys(metafile.inputs)
}

/** Builds the programs in C that phases and sandboxes start. */
export function buildHelpers(arch, out) {
  for (const argv of [
    ['distribution/supervisor/build', arch, join(out, 'supervisor')],
    ['lifecycle/engines/landlock/build', join(out, 'landlock'), arch],
  ])
    execFileSync(join(root, argv[0]), argv.slice(1), { stdio: ['ignore', 'inherit', 'inherit'] })
}

/** Makes dist/bale. Returns the sources of the programs and libraries, as paths from the root. */
export async function bundle() {
  const esbuild = await import('esbuild')
  const sources = new Set()
  const build = async options => {
    const { metafile } = await esbuild.build({ ...options, metafile: true })
    for (const file of Object.keys(metafile.inputs)) sources.add(file)
  }
  const out = join(root, `.dist-${process.pid}`)
  rmSync(out, { recursive: true, force: true })
  try {
    execFileSync(join(root, 'launcher', 'build'), { stdio: ['ignore', 'inherit', 'inherit'] })
    mkdirSync(out)
    // Sources that change later are newer than the bundle.
    const started = new Date()
    await build({ ...library, entryPoints: libraries, outdir: out })
    await build({ ...withRegistries, entryPoints: { bale: 'lifecycle/cli/bale.ts', ...undici }, outdir: out })
    await build({ ...program, entryPoints: otherClients, outdir: out })
    await buildDeflate({ bundle: out })
    for (const file of await bundlePhases(join(out, 'lifecycle'))) sources.add(file)
    buildHelpers({ x64: 'amd64' }[process.arch] ?? process.arch, join(out, 'lifecycle'))
    precompile(out, 'bale')
    precompile(out, 'undici', 'loaded')
    bundleRuntime(join(out, 'runtime'))
    for (const name of buildpacks()) await bundleBuildpack(build, name, join(out, 'buildpacks', name))
    // Only the launchers: launchers for tests may be beside them.
    const isShipped = path => /[/](dist|launcher-linux-\w+)$/.test(path)
    cpSync(join(root, 'launcher', 'dist'), join(out, 'launcher'), { recursive: true, filter: isShipped })
    cpSync(join(root, 'stacks'), join(out, 'stacks'), { recursive: true })
    cpSync(join(root, 'builder.toml'), join(out, 'builder.toml'))
    writeFileSync(join(out, 'stamp'), '')
    utimesSync(join(out, 'stamp'), started, started)
    replace(out)
  } finally {
    rmSync(out, { recursive: true, force: true })
  }
  return [...sources]
}

/** Bundles the programs that start Node and supervise phases in other images: see distribution/. */
function bundleRuntime(out) {
  const arch = process.arch === 'arm64' ? 'arm64' : 'amd64'
  mkdirSync(out)
  for (const name of ['dispatcher', 'supervisor']) {
    const build = join(root, 'distribution', name, 'build')
    execFileSync(build, [arch, join(out, name)], { stdio: ['ignore', 'inherit', 'inherit'] })
  }
  cpSync(join(root, 'distribution', 'dispatcher', 'start.cjs'), join(out, 'start.cjs'))
}

/**
 * Writes V8's compiled code beside a program, which then starts 10 ms sooner; another version of Node compiles it again. `how`
 * is `loaded` for a library (scripts/precompile.cjs), which saves 6 ms more in a program that uses a registry, and `all` for the
 * phases, which saves 5 to 25 ms in each.
 * Node's own compile cache is not used: other users may write to its directory.
 */
function precompile(dir, name, ...how) {
  const file = join(dir, `${name}.program.cjs`)
  renameSync(join(dir, `${name}.cjs`), file)
  const precompiler = ['--random-seed=1', join(root, 'scripts', 'precompile.cjs'), ...how]
  const compiled = execFileSync(process.execPath, precompiler, {
    input: readFileSync(file),
    maxBuffer: 1 << 28,
    cwd: root,
  })
  writeFileSync(join(dir, `${name}.program.v8`), compiled)
  cpSync(join(root, 'scripts', 'precompiled.cjs'), join(dir, `${name}.cjs`))
}

function buildpacks() {
  return readdirSync(join(root, 'buildpacks')).filter(name =>
    existsSync(join(root, 'buildpacks', name, 'buildpack.toml')),
  )
}

/** Bundles a buildpack: copies its descriptor, shell scripts and shipped npm packages unchanged, and bundles its program. */
async function bundleBuildpack(build, name, out) {
  const dir = join(root, 'buildpacks', name)
  mkdirSync(out, { recursive: true })
  cpSync(join(dir, 'buildpack.toml'), join(out, 'buildpack.toml'))
  // A composite buildpack has no program.
  if (!existsSync(join(dir, 'bin'))) return
  cpSync(join(dir, 'bin'), join(out, 'bin'), { recursive: true })
  for (const file of readdirSync(join(out, 'bin'))) chmodSync(join(out, 'bin', file), 0o755)
  if (existsSync(join(dir, 'main.ts'))) {
    await build({ ...program, entryPoints: { main: `buildpacks/${name}/main.ts` }, outdir: out })
    writeSettings(out, [join(out, 'main.cjs'), join(dir, 'README.md')], [dir, join(root, 'buildpacks', 'sdk')])
  }
  const manifest = join(dir, 'bundle.json')
  if (!existsSync(manifest)) return
  for (const copied of JSON.parse(readFileSync(manifest, 'utf8')).copy) {
    // npm packs no links: without the unused links of `.bin`, a package has the same files as a checkout.
    const from = realpathSync(join(root, 'node_modules', copied))
    const filter = path => !path.endsWith('/node_modules/.bin')
    cpSync(from, join(out, copied), { recursive: true, verbatimSymlinks: true, filter })
  }
}

/**
 * Writes the names of the settings that a buildpack reads: from its program, and from its README, since a program may compose
 * names. A name that ends in an underscore is a prefix, such as `BPE_`. Includes types of bindings. `bale build` warns that
 * nothing reads other names (lifecycle/platform/unread-settings.ts).
 */
function writeSettings(out, files, sources) {
  const names = files.flatMap(
    file => readFileSync(file, 'utf8').match(/\b(?:BP|BPE|GOOGLE|RAILPACK)_[A-Z][A-Z0-9_]*|\bBPE_(?![A-Z])/g) ?? [],
  )
  writeFileSync(
    join(out, 'settings.json'),
    `${JSON.stringify([...new Set([...names, ...bindingTypes(sources)])].sort())}\n`,
  )
}

/** The types of bindings, `binding:composer`, in the sources of a buildpack and of the library. */
function bindingTypes(dirs) {
  const asks = /\b(?:bindingsOf|boundFiles?|firstBinding)\(\s*\w+,\s*'([\w-]+)'/g
  const homeFiles = /: HomeFiles = \{([^]*?)\n\}/g
  return dirs.flatMap(dir =>
    readdirSync(dir, { recursive: true })
      .filter(name => name.endsWith('.ts'))
      .flatMap(name => {
        const source = readFileSync(join(dir, name), 'utf8')
        const tables = Array.from(source.matchAll(homeFiles), ([, table]) => table)
        const types = tables.flatMap(table => Array.from(table.matchAll(/^ {2}([\w-]+): \{/gm), ([, type]) => type))
        return [...Array.from(source.matchAll(asks), ([, type]) => type), ...types].map(type => `binding:${type}`)
      }),
  )
}

/** Puts the new bundle in place. Two concurrent builds both succeed; the later one's result stays. */
function replace(out) {
  const old = join(root, `.dist-old-${process.pid}`)
  mkdirSync(dirname(home), { recursive: true })
  try {
    renameSync(home, old)
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
  }
  try {
    renameSync(out, home)
  } catch (error) {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
  }
  rmSync(old, { recursive: true, force: true })
}
