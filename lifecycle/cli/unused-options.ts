import { type Command, Option } from 'commander'
import type { CommandContext, GlobalOptions } from './context.ts'

/** Options of pack that have no effect in Bale, and why. Scripts may give them; help texts leave them out. */
export type UnusedOptions = readonly (readonly [flags: string, key: keyof GlobalOptions, why: string])[]

const noRegistry = 'Bale reads no index of buildpack names; name an image, a .cnb file or a directory'
const noSecondContainer = 'analysis, restore and export never run in the builder'

/** Of `bale build` and `bale plan`. */
export const unusedInBuilds: UnusedOptions = [
  ['--trust-builder', 'trustBuilder', noSecondContainer],
  ['--trust-extra-buildpacks', 'trustExtraBuildpacks', noSecondContainer],
  ['--lifecycle-image <image>', 'lifecycleImage', noSecondContainer],
  ['--disable-system-buildpacks', 'disableSystemBuildpacks', 'Bale never adds the system buildpacks of builders'],
  ['--userns-host', 'usernsHost', 'there is no daemon whose user namespace could be used'],
  ['--sparse', 'sparse', 'a layout gets the layers of the run image, too'],
  ['-r, --buildpack-registry <name>', 'buildpackRegistry', noRegistry],
]

const ownLayers = 'each buildpack is a layer of its own, so that images can share it'

/** Of the commands for builders, buildpacks and image extensions. */
export const unusedInPackages: UnusedOptions = [
  ['--flatten <buildpacks>', 'flatten', ownLayers],
  ['--flatten-exclude <buildpacks>', 'flattenExclude', ownLayers],
  ['--append-image-name-suffix', 'appendImageNameSuffix', 'the images of an index have no tags'],
  ['-r, --buildpack-registry <name>', 'buildpackRegistry', noRegistry],
]

/** Of `bale buildpack inspect`. */
export const unusedInInspect: UnusedOptions = [['-r, --registry <name>', 'registry', noRegistry]]

export function withUnused(command: Command, unused: UnusedOptions): Command {
  for (const [flags] of unused) command.addOption(new Option(flags).hideHelp())
  return command
}

/** Calls `note` for each given option that changes nothing. */
export function noteUnused(options: GlobalOptions, unused: UnusedOptions, note: (text: string) => void): void {
  for (const [flags, key, why] of unused) {
    const [name = ''] = /--[a-z-]+/.exec(flags) ?? []
    if (options[key] !== undefined) note(`${name} changes nothing: ${why}`)
  }
}

export const noteIn =
  ({ reporter }: CommandContext) =>
  (text: string): void =>
    reporter.event({ type: 'note', level: 'info', text })
