import { lutimes, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOf, digestOfFile } from '../../sdk/index.ts'

/** Folders that are no source: packages, the repository, and those with the caches themselves. */
const noSource = [
  'node_modules',
  '.git',
  '.next',
  '.angular',
  '.docusaurus',
  '.parcel-cache',
  '.turbo',
  '.nx',
  '.rsbuild',
]

/** The range of the times: the 30 years from 1980 on, in milliseconds. All are over, so no tool takes a file for one just written. */
const start = Date.UTC(1980)
const range = 30 * 365 * 24 * 3600_000

/**
 * Gives each file of the source a time of change that its contents decide. webpack, Parcel and ESLint believe their caches as long as
 * a file has the time that they have noted, and all files of a build have one and the same: what was made of the old source would
 * be in the image of the new one (C23). In the image, all files have one time again.
 */
export async function setTimesByContent(dir: string): Promise<void> {
  const entries = await readdir(dir, { withFileTypes: true })
  for (const entry of entries) {
    const path = join(dir, entry.name)
    if (entry.isFile()) await setTime(path, await digestOfFile(path))
    else if (entry.isDirectory() && !noSource.includes(entry.name)) await setTimesByContent(path)
  }
  await setTime(dir, digestOf(...entries.map(({ name }) => name).toSorted()))
}

async function setTime(path: string, digest: string): Promise<void> {
  const number = Number.parseInt(digest.slice('sha256:'.length, 'sha256:'.length + 12), 16)
  const seconds = (start + (number % range)) / 1000
  await lutimes(path, seconds, seconds)
}
