import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import semver from 'semver'
import { packageUrl } from '../../sdk/index.ts'
import type { ManagerJob, ManagerSource } from '../manager.ts'
import type { Npm } from '../../npm/registry.ts'
import { chooseVersion, unpackTool } from './fetch.ts'

/** The npm for versions of Node that the buildpack's npm does not support, from each line's own `engines`. */
const olderLines = [
  { npm: '10.x', node: '^18.17.0 || >=20.5.0' },
  { npm: '9.x', node: '^14.17.0 || ^16.13.0 || >=18.0.0' },
  { npm: '8.x', node: '^12.13.0 || ^14.15.0 || >=16.0.0' },
  { npm: '6.x', node: '*' },
]

/** The requested npm, of the line for this Node if the request allows it; undefined: the buildpack's own. */
function neededNpm({ choice, node, bundled }: ManagerJob): ManagerSource | undefined {
  const { request } = choice
  const runs = semver.satisfies(node.version, bundled.engines)
  if (runs && semver.satisfies(bundled.version, request?.range ?? '*')) return undefined
  if (runs && request !== undefined) return { package: 'npm', request }
  const line = olderLines.find(entry => semver.satisfies(node.version, entry.node))
  const preferred = { range: line?.npm ?? '*', where: `Node ${node.version}` }
  return { package: 'npm', request: request ?? preferred, preferred }
}

/**
 * The npm that installs the application's packages and, if `launch`, is in the image. It is the layer `npm`, unless it is the
 * buildpack's own and the image does not need it. For a server in another language, whose build may call npm, it is on that build's
 * PATH.
 */
export async function provideNpm(job: ManagerJob): Promise<Npm> {
  const { context, registry, bundled, launch, starts } = job
  const source = neededNpm(job)
  const request = source?.request
  const version = source === undefined ? bundled.version : await chooseVersion(registry, { name: 'npm', ...source })
  if (request !== undefined) context.log.info(`npm ${version}, for ${request.where} (${request.range})`)
  if (request === undefined && !launch && starts) return bundled
  const layer = await context.layer('npm', {
    title: `npm ${version}`,
    types: { launch, build: request !== undefined || !starts, cache: request !== undefined },
    key: { npm: version },
    create: async dir => {
      const target = join(dir, 'npm')
      await mkdir(target)
      if (request === undefined) await cp(bundled.dir, target, { recursive: true, filter: isNoDocument })
      else await unpackTool(registry, 'npm', version, target, request)
      await writeWrappers(join(dir, 'bin'), target)
    },
    sbom: () => Promise.resolve([{ name: 'npm', version, purl: packageUrl('npm', 'npm', version) }]),
  })
  return request === undefined ? bundled : { version, dir: join(layer.path, 'npm') }
}

function isNoDocument(path: string): boolean {
  return !/\/npm\/(docs|man)(\/|$)/.test(path)
}

/** Commands `npm` and `npx` that run with the `node` on PATH. */
export async function writeWrappers(bin: string, npm: string): Promise<void> {
  await mkdir(bin, { recursive: true })
  for (const name of ['npm', 'npx']) {
    await writeFile(join(bin, name), `#!/bin/sh\nexec node '${join(npm, 'bin', `${name}-cli.js`)}' "$@"\n`, {
      mode: 0o755,
    })
  }
}

/** The same in a folder of this build. Returns the folder. */
export async function bundledWrappers(bin: string, npm: string): Promise<string> {
  await writeWrappers(bin, npm)
  return bin
}
