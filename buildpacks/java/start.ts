import type { Component, LaunchProcess } from '../sdk/index.ts'
import type { Switch } from './launch-script.ts'

/** The files that stay in the image, and the start. */
export interface ImageFiles {
  readonly processes: readonly LaunchProcess[]
  readonly slices: readonly { readonly paths: readonly string[] }[]
  readonly components: readonly Component[]
  /** The number of classes in the application and its libraries. */
  readonly classes: number
  /** Options of the JVM that they require. */
  readonly options?: readonly string[]
  /** Options that variables turn on or off at the start. */
  readonly switches?: readonly Switch[]
  /** The archive that starts once more in the build, to create an archive of the classes that it loads. */
  readonly training?: string
  readonly shown: string
}

export const web = (command: LaunchProcess['command']): LaunchProcess => ({ type: 'web', command, default: true })
