import type { PlatformFeatures } from './api.ts'
import { optionalExecEnv } from './exec-env.ts'
import { readElements, writeElement } from './group.ts'
import { checkBuildpackId, checkProcessType } from './ids.ts'
import { readLabel, readSlice } from './launch.ts'
import { readCommand, writeCommand } from './process.ts'
import * as read from './read.ts'
import { formatToml } from './toml.ts'
import type { BuildMetadata, Process } from './types.ts'

type BuildpackProcess = BuildMetadata['processes'][number]

/**
 * metadata.toml (platform.md, "metadata.toml"): the output of build for export and for the launcher. Beyond the
 * specification it records the buildpack of each process, and labels.
 */
export function parseBuildMetadata(content: Uint8Array | string, where: string): BuildMetadata {
  const document = read.readToml(content, where)
  const defaultType = read.optionalText(document, 'buildpack-default-process-type', 'defaultProcessType')
  const nodes = read.tables(document, 'processes')
  const processes = nodes.map(node => readProcess(node, defaultType.defaultProcessType))
  read.rejectTwice(nodes, processes, 'type', p => p.type)
  return {
    buildpacks: readElements(document, 'buildpacks'),
    ...readExtensions(document),
    processes,
    slices: read.tables(document, 'slices').map(readSlice),
    labels: read.tables(document, 'labels').map(readLabel),
    ...defaultType,
  }
}

function readExtensions(document: read.Node): Pick<BuildMetadata, 'extensions'> {
  const extensions = readElements(document, 'extensions')
  return extensions.length === 0 ? {} : { extensions }
}

function readProcess(node: read.Node, defaultType: string | undefined): BuildpackProcess {
  const type = read.requiredText(node, 'type')
  checkProcessType(type, read.whereOf(node, 'type'))
  const buildpackId = read.requiredText(node, 'buildpack-id')
  checkBuildpackId(buildpackId, read.whereOf(node, 'buildpack-id'))
  const command = readCommand(node)
  if (!command[0]) throw read.errorAt(node, 'command', 'names no program')
  return {
    type,
    command,
    args: read.texts(node, 'args'),
    direct: read.flag(node, 'direct'),
    default: type === defaultType,
    ...read.optionalText(node, 'working-dir', 'workingDir'),
    ...optionalExecEnv(node),
    buildpackId,
  }
}

export function formatBuildMetadata(
  m: BuildMetadata,
  features: Pick<PlatformFeatures, 'commandLists' | 'execEnv' | 'workingDir'>,
): string {
  return formatToml({
    'buildpack-default-process-type': m.defaultProcessType,
    buildpacks: m.buildpacks.map(writeElement),
    extensions: m.extensions?.map(writeElement),
    processes: m.processes.map(p => ({ ...writeProcess(p, features), 'buildpack-id': p.buildpackId })),
    slices: m.slices.length === 0 ? undefined : m.slices.map(s => ({ paths: s.paths })),
    labels: m.labels.length === 0 ? undefined : m.labels.map(l => ({ key: l.key, value: l.value })),
  })
}

function writeProcess(
  process: Process,
  features: Pick<PlatformFeatures, 'commandLists' | 'execEnv' | 'workingDir'>,
): Readonly<Record<string, unknown>> {
  return {
    type: process.type,
    ...writeCommand(process, features.commandLists),
    direct: process.direct,
    'working-dir': features.workingDir ? process.workingDir : undefined,
    'exec-env': features.execEnv ? (process.execEnv ?? ['*']) : undefined,
  }
}
