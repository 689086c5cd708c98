import { supportedBuildpackApis, supportedPlatformApis } from '../../spec/api.ts'

/** The API versions that platforms read before they use a lifecycle. None is deprecated. */
export const apis = {
  buildpack: { deprecated: [], supported: supportedBuildpackApis },
  platform: { deprecated: [], supported: supportedPlatformApis },
}

/** The oldest version of each API, for readers that expect only one (buildpacks RFC 0011). */
export const oldestApis = {
  buildpack: supportedBuildpackApis[0] as string,
  platform: supportedPlatformApis[0] as string,
}
