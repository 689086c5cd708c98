import { supportedBuildpackApis, supportedPlatformApis } from '../lifecycle/spec/api.ts'
import { formatToml } from '../lifecycle/spec/toml.ts'
import { lifecycleVersion } from '../lifecycle/version.ts'

/** What platforms have to know before they use a lifecycle; nothing that it supports is deprecated. */
export const apis = {
  buildpack: { deprecated: [], supported: supportedBuildpackApis },
  platform: { deprecated: [], supported: supportedPlatformApis },
}

/** The oldest of each, for readers who know only one (buildpacks RFC 0011). */
export const oldestApis = {
  buildpack: supportedBuildpackApis[0] as string,
  platform: supportedPlatformApis[0] as string,
}

/** lifecycle.toml, which platforms look for in the tarball when they make a builder (buildpacks RFC 0049). */
export function lifecycleToml(): string {
  return formatToml({ api: oldestApis, apis, lifecycle: { version: lifecycleVersion } })
}
