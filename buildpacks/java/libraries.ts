import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Component } from '../sdk/index.ts'
import { countClasses, readArchive } from './archive.ts'

/** The archives in a directory. */
export interface Libraries {
  readonly components: readonly Component[]
  /** How many classes they have. */
  readonly classes: number
  /** Options of the JVM that they cannot do without. */
  readonly options: readonly string[]
}

/** Every archive in a directory: libraries for the bill of materials, and how many classes there are. */
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

/** Play writes its process id beside itself, where the application cannot write, and will not start where there is one already. */
const withoutPidFile = '-Dpidfile.path=/dev/null'
/** sbt-native-packager puts the group before the name: com.typesafe.play.play-server_2.13-2.9.5.jar. */
const isPlay = ({ name }: Component): boolean => /(^|\.)play-server_/.test(name)
