import type { BuildpackFeatures } from './api.ts'
import { optionalExecEnv } from './exec-env.ts'
import { checkProcessType } from './ids.ts'
import * as read from './read.ts'
import { slicePatternProblem } from './slices.ts'
import type { Label, LaunchDocument, Process, Slice } from './types.ts'

/**
 * The maximum bytes of a label's value. A registry would refuse a config of a few MiB; this error names the label that made it so
 * large.
 */
const maxLabel = 1 << 20

/**
 * Parses the launch.toml (buildpack.md, "launch.toml") of a buildpack whose API has these features.
 * @throws BaleError 'input' also for two processes or labels with the same name, two defaults, and slices outside of the app
 */
export function parseLaunch(
  content: Uint8Array | string,
  where: string,
  features: Pick<BuildpackFeatures, 'commandLists' | 'directProcesses' | 'execEnv'>,
): LaunchDocument {
  const document = read.readToml(content, where)
  const nodes = read.tables(document, 'processes')
  const processes = nodes.map(node => readProcess(node, features))
  read.rejectTwice(nodes, processes, 'type', p => p.type)
  read.rejectTwice(nodes, processes, 'default', p => (p.default ? 'default = true' : undefined))
  const labelNodes = read.tables(document, 'labels')
  const labels = labelNodes.map(readLabel)
  read.rejectTwice(labelNodes, labels, 'key', l => l.key)
  return { processes, labels, slices: read.tables(document, 'slices').map(readSlice) }
}

function readProcess(
  node: read.Node,
  features: Pick<BuildpackFeatures, 'commandLists' | 'directProcesses' | 'execEnv'>,
): Process {
  const type = read.requiredText(node, 'type')
  checkProcessType(type, read.whereOf(node, 'type'))
  return {
    type,
    command: readCommand(node, features.commandLists),
    args: read.texts(node, 'args'),
    direct: readDirect(node, features.directProcesses),
    default: read.flag(node, 'default'),
    ...readWorkingDir(node),
    ...(features.execEnv ? optionalExecEnv(node) : {}),
  }
}

function readCommand(node: read.Node, commandLists: boolean): readonly string[] {
  const isString = typeof node.table['command'] === 'string'
  if (!commandLists) return [read.requiredText(node, 'command', 'write a string: the program to start')]
  const fix = 'write a list: command = ["program", "argument"]'
  if (isString) throw read.errorAt(node, 'command', 'a string, which this Buildpack API no longer allows', fix)
  const command = read.texts(node, 'command')
  if (!command[0]) throw read.errorAt(node, 'command', 'names no program', fix)
  return command
}

function readDirect(node: read.Node, alwaysDirect: boolean): boolean {
  if (!alwaysDirect) return read.flag(node, 'direct')
  if (read.has(node, 'direct') && !read.flag(node, 'direct'))
    throw read.errorAt(
      node,
      'direct',
      'false, but this Buildpack API does not start a shell',
      'remove direct, and start the shell yourself: command = ["bash", "-c", "…"]',
    )
  return true
}

/** Absolute directories are the buildpack's choice, for example in its layers. A relative one must stay in the app. */
function readWorkingDir(node: read.Node): { readonly workingDir?: string } {
  const found = read.optionalText(node, 'working-dir', 'workingDir')
  if (found.workingDir !== undefined && !staysInside(found.workingDir))
    throw read.errorAt(node, 'working-dir', `${read.quote(found.workingDir)} is outside the application directory`)
  return found
}

function staysInside(path: string): boolean {
  if (path.startsWith('/')) return true
  let depth = 0
  for (const part of path.split('/')) {
    if (part === '..') depth--
    else if (part !== '' && part !== '.') depth++
    if (depth < 0) return false
  }
  return true
}

export function readLabel(node: read.Node): Label {
  const key = read.requiredText(node, 'key')
  if (/[\x00-\x20\x7f]/.test(key)) throw read.errorAt(node, 'key', `${read.quote(key)} cannot be a label's key`)
  const value = read.text(node, 'value')
  if (value === undefined) throw read.missing(node, 'value')
  if (value.length > maxLabel) throw read.errorAt(node, 'value', `a label larger than ${maxLabel >> 20} MiB`)
  return { key, value }
}

export function readSlice(node: read.Node): Slice {
  const paths = read.texts(node, 'paths')
  for (const path of paths) {
    const problem = slicePatternProblem(path)
    if (problem !== undefined) throw read.errorAt(node, 'paths', `${read.quote(path)} ${problem}`)
  }
  return { paths }
}

export interface CombinedProcesses {
  /** Sorted by type. */
  readonly processes: readonly (Process & { readonly buildpackId: string })[]
  readonly defaultProcessType?: string
  /** A default that a later buildpack removed by redefining the type without `default`. The caller warns. */
  readonly lostDefault?: { readonly type: string; readonly buildpackId: string }
}

/**
 * Merges the image's processes: the last definition of a type counts, and the last default is the default. A default that is
 * redefined without `default` is removed (buildpack.md, "launch.toml").
 */
export function combineProcesses(
  list: readonly { readonly buildpackId: string; readonly launch: LaunchDocument }[],
): CombinedProcesses {
  const byType = new Map<string, Process & { readonly buildpackId: string }>()
  let chosen: Pick<CombinedProcesses, 'defaultProcessType' | 'lostDefault'> = {}
  for (const { buildpackId, launch } of list)
    for (const process of launch.processes) {
      const { type } = process
      if (process.default) chosen = { defaultProcessType: type }
      else if (chosen.defaultProcessType === type) chosen = { lostDefault: { type, buildpackId } }
      byType.set(type, { ...process, buildpackId })
    }
  const types = [...byType.keys()].sort()
  const processes = types.map(type => ({
    ...(byType.get(type) as Process & { readonly buildpackId: string }),
    default: type === chosen.defaultProcessType,
  }))
  return { processes, ...chosen }
}
