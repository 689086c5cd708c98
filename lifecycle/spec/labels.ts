import type { PlatformFeatures } from './api.ts'
import { readCommand, writeCommand } from './process.ts'
import * as read from './read.ts'
import { sortedData } from './sorted.ts'
import type { BuildMetadata, ProjectMetadata } from './types.ts'

export {
  formatCacheMetadata,
  formatLayersMetadata,
  parseCacheMetadata,
  parseLayersMetadata,
  rebaseLayersMetadata,
} from './layers-metadata.ts'

/** Labels of an app image (platform.md, "Labels"). Keys are in the order of the Go lifecycle; maps are sorted. */
export const labels = {
  lifecycle: 'io.buildpacks.lifecycle.metadata',
  build: 'io.buildpacks.build.metadata',
  project: 'io.buildpacks.project.metadata',
  cache: 'io.buildpacks.lifecycle.cache.metadata',
  rebasable: 'io.buildpacks.rebasable',
  execEnv: 'io.buildpacks.exec-env',
  baseId: 'io.buildpacks.base.id',
  distroName: 'io.buildpacks.base.distro.name',
  distroVersion: 'io.buildpacks.base.distro.version',
  stackId: 'io.buildpacks.stack.id',
  stackMixins: 'io.buildpacks.stack.mixins',
} as const

export interface LauncherVersion {
  readonly version: string
  readonly source?: { readonly repository: string; readonly commit: string }
}

/** The buildpacks and processes of the image. `bom` and one-string commands are for platforms of older APIs. */
export function formatBuildMetadataLabel(
  m: BuildMetadata,
  launcher: LauncherVersion,
  features: Pick<PlatformFeatures, 'commandLists' | 'execEnv' | 'legacySbomFile' | 'workingDir'>,
): string {
  const { repository = '', commit = '' } = launcher.source ?? {}
  const byType = [...m.processes].sort((a, b) => (a.type < b.type ? -1 : 1))
  return JSON.stringify({
    bom: features.legacySbomFile ? undefined : [],
    buildpacks: m.buildpacks.map(b => ({ id: b.id, version: b.version, homepage: b.homepage, api: b.api })),
    extensions: m.extensions?.map(e => ({ id: e.id, version: e.version, homepage: e.homepage, api: e.api })),
    launcher: { version: launcher.version, source: { git: { repository, commit } } },
    processes: byType.map(p => ({
      type: p.type,
      ...writeCommand(p, features.commandLists),
      direct: p.direct,
      buildpackID: p.buildpackId,
      'working-dir': features.workingDir ? p.workingDir : undefined,
      'exec-env': features.execEnv ? p.execEnv : undefined, // without it: the processes of all environments, as in other lifecycles
    })),
    'buildpack-default-process-type': m.defaultProcessType,
  })
}

/** `{}` for an unknown source. */
export function formatProjectMetadata(p: ProjectMetadata): string {
  const { type, version, metadata } = p.source ?? {}
  const source = { type, version: version && sortedData(version), metadata: metadata && sortedData(metadata) }
  return JSON.stringify({ source: p.source && source })
}

/** Reads the label for display. Images of other lifecycles also have it, so any key may be missing. */
export interface BuildLabel {
  readonly buildpacks: readonly { readonly id: string; readonly version: string; readonly homepage?: string }[]
  readonly processes: readonly {
    readonly type: string
    readonly command: readonly string[]
    readonly args: readonly string[]
    readonly direct: boolean
    readonly workingDir?: string
    readonly buildpackId?: string
  }[]
  readonly launcherVersion?: string
}

export function parseBuildMetadataLabel(json: string, where: string): BuildLabel {
  const document = read.readJson(json, where)
  const launcher = read.table(document, 'launcher')
  return {
    buildpacks: read.tables(document, 'buildpacks').map(b => ({
      id: read.text(b, 'id') ?? '',
      version: read.text(b, 'version') ?? '',
      ...read.optionalText(b, 'homepage', 'homepage'),
    })),
    processes: read.tables(document, 'processes').map(p => ({
      type: read.text(p, 'type') ?? '',
      command: readCommand(p),
      args: read.texts(p, 'args'),
      direct: read.flag(p, 'direct'),
      ...read.optionalText(p, 'working-dir', 'workingDir'),
      ...read.optionalText(p, 'buildpackID', 'buildpackId'),
    })),
    ...(launcher && read.optionalText(launcher, 'version', 'launcherVersion')),
  }
}
