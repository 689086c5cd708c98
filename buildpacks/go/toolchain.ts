import { copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import semver from 'semver'
import { DebianArchive } from '../debian/archive.ts'
import { unpackPackages } from '../debian/unpack.ts'
import { type BuildContext, BuildpackError, keep, type Offer, ownArchitecture, withTempDir } from '../sdk/index.ts'
import {
  contradictions,
  exactVersion,
  nearestVersion,
  pickVersion,
  satisfies,
  toGoVersion,
  toSemver,
  type VersionRequest,
} from './version.ts'

/** A Go toolchain in its layer. */
export interface Toolchain {
  /** Go's own name for it: `1.25.3`, `1.20`. */
  readonly version: string
  /** The directory with `bin/go`. */
  readonly dir: string
}

/**
 * Puts the requested Go into a layer: one for this machine, which compiles for any other. A Go command downloads it like any module:
 * GOPROXY, GOPRIVATE, GOAUTH and netrc apply, and the archive is checked against GOSUMDB (go.dev/doc/toolchain, "Downloading
 * toolchains").
 */
export async function provideGo(context: BuildContext, request: VersionRequest): Promise<Toolchain> {
  const client = await provideClient(context)
  const version = await chooseVersion(context, client, request)
  context.log.info(`Go ${version}: ${request.why}`)
  for (const text of contradictions(request, version)) context.log.warning(text, 'Change one of the two.')
  const layer = await context.layer('go', {
    title: `Go ${version}`,
    types: { build: true, cache: true },
    key: { Go: version, architecture: ownArchitecture() },
    create: dir => download(context, client, version, request, dir),
  })
  return { version, dir: layer.path }
}

/**
 * Debian's Go command, without compiler and library: it can use the Go proxy and verify its downloads. The application does not use it,
 * so any version of it that is already there is good enough.
 */
async function provideClient(context: BuildContext): Promise<string> {
  const own = ownArchitecture()
  const foreign = own === context.target.arch ? undefined : own
  const layer = await context.layer(foreign === undefined ? 'go-client' : `go-client-${foreign}`, {
    types: { build: true, cache: true },
    key: {},
    restore: () => keep,
    create: dir =>
      withTempDir(async temp => {
        const archive = await DebianArchive.open(context, temp, { architecture: foreign })
        const packages = (await archive.resolve(['golang-go'])).filter(({ name }) => /^golang-[\d.]+-go$/.test(name))
        const unpacked = join(temp, 'unpacked')
        await mkdir(unpacked)
        await unpackPackages(context.run, await archive.download(packages), unpacked)
        const lib = join(unpacked, 'usr/lib')
        const [root] = (await readdir(lib)).filter(name => /^go-[\d.]+$/.test(name))
        if (root === undefined) throw new BuildpackError("Debian's package golang-go has no Go command")
        // The command finds its own root by pkg/tool.
        for (const name of ['bin', 'pkg/tool']) await mkdir(join(dir, name), { recursive: true })
        for (const name of ['bin/go', 'go.env', 'VERSION']) {
          await copyFile(join(lib, root, name), join(dir, name))
        }
      }),
  })
  return join(layer.path, 'bin/go')
}

async function chooseVersion(context: BuildContext, client: string, request: VersionRequest): Promise<string> {
  const exact = exactVersion(request)
  if (exact !== undefined) return toGoVersion(exact)
  const { versions, stderr } = await listVersions(context, client)
  if (versions !== undefined) return toGoVersion(pickVersion(request, versions))
  const last = context.store['go']
  if (typeof last === 'string' && satisfies(request, toSemver(last))) {
    context.log.warning(
      `the versions of Go cannot be listed, so the version of the last build is used:\n${stderr.trim()}`,
    )
    return last
  }
  throw unreachable('the versions of Go cannot be listed', stderr)
}

/** The releases in the Go proxy. @throws BuildpackError if it cannot be reached */
export async function goOffers(context: BuildContext): Promise<Offer[]> {
  const { versions, stderr } = await listVersions(context, await provideClient(context))
  if (versions === undefined) throw unreachable('the versions of Go cannot be listed', stderr)
  const releases = versions.filter(version => /^\d+(\.\d+)*$/.test(version))
  const newestFirst = releases.toSorted((a, b) => semver.rcompare(toSemver(a), toSemver(b)))
  return [{ name: 'Go', from: 'the Go proxy, module golang.org/toolchain', versions: newestFirst }]
}

/** The versions of Go in the proxy; undefined with the reason if it cannot be reached. */
async function listVersions({ run }: BuildContext, client: string) {
  const { stdout, stderr, exitCode } = await withTempDir(temp =>
    run([client, 'list', '-m', '-versions', 'go'], {
      cwd: temp,
      env: clientEnv(temp),
      quiet: true,
      allowFailure: true,
    }),
  )
  return { versions: exitCode === 0 ? stdout.trim().split(/\s+/).slice(1) : undefined, stderr }
}

/** Variables for the command that downloads toolchains. Its caches are removed afterwards. */
function clientEnv(dir: string) {
  return {
    GOROOT: undefined,
    GOTOOLCHAIN: 'local',
    GOFLAGS: '-modcacherw',
    GOPATH: join(dir, 'gopath'),
    GOMODCACHE: join(dir, 'modules'),
    GOCACHE: join(dir, 'cache'),
    GO111MODULE: undefined,
    GOWORK: 'off',
  }
}

async function download(
  context: BuildContext,
  client: string,
  version: string,
  request: VersionRequest,
  dir: string,
): Promise<void> {
  const { run } = context
  // On the layer's own file system, so that the toolchain is not copied.
  const temp = join(dir, '.download')
  await mkdir(temp)
  const env = { ...clientEnv(temp), GOTOOLCHAIN: `go${version}` }
  // A command that needs the toolchain, and does nothing else.
  const { exitCode, stderr } = await run([client, 'version'], { cwd: temp, env, quiet: true, allowFailure: true })
  if (exitCode !== 0) {
    if (!/\b(404|410|403)\b|not available|not found|unknown revision/i.test(stderr)) {
      throw unreachable(`Go ${version} cannot be downloaded`, stderr)
    }
    const { versions = [] } = await listVersions(context, client)
    const nearest = nearestVersion(version, versions)
    throw new BuildpackError(`there is no Go ${version} for this machine:\n${stderr.trim()}`, {
      where: request.where,
      fix: `request a released version${nearest === undefined ? '' : `: the nearest is ${nearest}`}; "1.25" is the newest 1.25`,
    })
  }
  // These module files are read-only even with -modcacherw.
  await run(['chmod', '-R', 'u+w', temp], { quiet: true })
  const parent = join(temp, 'modules/golang.org')
  const [name = ''] = (await readdir(parent)).filter(entry => entry.startsWith('toolchain@'))
  for (const entry of await readdir(join(parent, name))) await rename(join(parent, name, entry), join(dir, entry))
  await rm(temp, { recursive: true })
  await removeTests(dir)
}

function unreachable(what: string, stderr: string): BuildpackError {
  return new BuildpackError(`${what}:\n${stderr.trim()}`, {
    fix: 'check the network, GOPROXY and GOSUMDB, and the credentials in a netrc binding',
  })
}

/** Removes Go's own tests and the sources of its compiler, a quarter of a toolchain that no application imports. */
async function removeTests(dir: string): Promise<void> {
  await Promise.all(
    ['api', 'doc', 'misc', 'test', 'src/cmd'].map(name => rm(join(dir, name), { recursive: true, force: true })),
  )
  for (const entry of await readdir(join(dir, 'src'), { withFileTypes: true, recursive: true })) {
    const isTest = entry.isDirectory() ? entry.name === 'testdata' : entry.name.endsWith('_test.go')
    if (isTest) await rm(join(entry.parentPath, entry.name), { recursive: true, force: true })
  }
}
