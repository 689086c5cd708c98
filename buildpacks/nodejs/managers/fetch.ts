import { mkdir } from 'node:fs/promises'
import semver from 'semver'
import { BuildpackError } from '../../sdk/index.ts'
import type { ManagerRequest, ManagerSource } from '../manager.ts'
import type { Registry } from '../../npm/registry.ts'

/** @throws BuildpackError that names the nearest versions if there is none */
export async function chooseVersion(
  registry: Registry,
  { name, package: pkg, request, preferred }: ManagerSource & { readonly name: string },
): Promise<string> {
  const exact = semver.valid(request.range)
  const published = await registry.versions(pkg)
  if (exact !== null && published.includes(exact)) return exact
  const fitting = exact === null ? published.filter(version => semver.satisfies(version, request.range)) : []
  // `*` is any release. A range that names a pre-release, such as ^11.0.0-alpha.0, may have no other versions.
  const version = [preferred?.range ?? '*', '*', request.range]
    .map(range => semver.maxSatisfying(fitting, range))
    .find(found => found !== null)
  if (version !== undefined) return version
  const lines = [...new Set(published.map(v => semver.major(v)))].toSorted((a, b) => a - b)
  const line = semver.minVersion(request.range)?.major
  const inLine = semver.maxSatisfying(published, `${line}.x`) ?? semver.maxSatisfying(published, '*')
  throw new BuildpackError(`no version of ${name} satisfies ${JSON.stringify(request.range)}`, {
    where: request.where,
    fix: `write for example "${inLine}"; there are versions ${lines[0]} to ${lines.at(-1)}`,
  })
}

/** Unpacks a package of the registry, or fails. */
export async function unpackTool(
  registry: Registry,
  pkg: string,
  version: string,
  dir: string,
  request?: ManagerRequest,
): Promise<void> {
  await mkdir(dir, { recursive: true })
  if (await registry.unpack(pkg, version, dir, request)) return
  throw new BuildpackError(`the registry has no ${pkg} ${version}`, { ...(request && { where: request.where }) })
}
