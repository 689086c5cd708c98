import { lutimes, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOf, digestOfFile } from '../../sdk/index.ts'

/** Folders without sources: packages, the repository, and the caches themselves. */
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

/** The range of the times: the 30 years from 1980 on, in milliseconds. All are in the past, so no tool takes a file for just written. */
const start = Date.UTC(1980)
const range = 30 * 365 * 24 * 3600_000

/**
 * Gives each file of the source a modification time that depends on its contents. webpack, Parcel and ESLint trust their caches as long
 * as a file has the recorded time, and all files in a build have the same time. Without this, output of the old source would be in the
 * image of the new one (C23). In the image, all files have one time again.
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
