import { supportedBuildpackApis, supportedPlatformApis } from '../../spec/api.ts'

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
