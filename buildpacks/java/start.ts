import type { Component, LaunchProcess } from '../sdk/index.ts'
import type { Switch } from './launch-script.ts'

/** What stays in the image, and how it starts. */
export interface ImageFiles {
  readonly processes: readonly LaunchProcess[]
  readonly slices: readonly { readonly paths: readonly string[] }[]
  readonly components: readonly Component[]
  /** How many classes the application and its libraries have. */
  readonly classes: number
  /** Options of the JVM that they cannot do without. */
  readonly options?: readonly string[]
  /** Options that variables of the start turn on or off. */
  readonly switches?: readonly Switch[]
  /** The archive that starts once more in the build, for an archive of the classes that it loads. */
  readonly training?: string
  readonly shown: string
}

export const web = (command: LaunchProcess['command']): LaunchProcess => ({ type: 'web', command, default: true })
