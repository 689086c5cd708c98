import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Component } from '../sdk/index.ts'
import { countClasses, readArchive } from './archive.ts'

/** The archives in a directory. */
export interface Libraries {
  readonly components: readonly Component[]
  /** The number of classes in them. */
  readonly classes: number
  /** Options of the JVM that they require. */
  readonly options: readonly string[]
}

/** Reads every archive in a directory: libraries for the bill of materials, and the number of classes. */
export async function inspectLibraries(dir: string): Promise<Libraries> {
  const components: Component[] = []
  let classes = 0
  for (const path of (await readdir(dir, { recursive: true, encoding: 'utf8' })).toSorted()) {
    if (!/\.[jw]ar$/.test(path)) continue
    const archive = await readArchive(join(dir, path))
    components.push(archive.component)
    classes += countClasses(archive)
  }
  return { components, classes, options: components.some(isPlay) ? [withoutPidFile] : [] }
}

/** Play writes a file with its process id beside itself, where the application cannot write, and does not start if one exists. */
const withoutPidFile = '-Dpidfile.path=/dev/null'
/** sbt-native-packager prefixes names with the group: com.typesafe.play.play-server_2.13-2.9.5.jar. */
const isPlay = ({ name }: Component): boolean => /(^|\.)play-server_/.test(name)
