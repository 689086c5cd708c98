import { apis, oldestApis } from '../lifecycle/platform/builders/lifecycle-apis.ts'
import { formatToml } from '../lifecycle/spec/toml.ts'
import { lifecycleVersion } from '../lifecycle/version.ts'

export { apis, oldestApis }

/** lifecycle.toml, which platforms read from the tarball when they make a builder (buildpacks RFC 0049). */
export function lifecycleToml(): string {
  return formatToml({ api: oldestApis, apis, lifecycle: { version: lifecycleVersion } })
}
