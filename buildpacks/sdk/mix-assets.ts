import { readdir } from 'node:fs/promises'
import type { App } from './app.ts'

/** Folders with packages for the assets of an Elixir application: Phoenix's `assets`, also in the projects of an umbrella. */
export async function mixAssets(app: App): Promise<string[]> {
  const projects = (await readdir(app.at('apps')).catch(() => [])).toSorted()
  const folders = ['assets', ...projects.map(name => `apps/${name}/assets`)]
  const there = await Promise.all(
    folders.map(async folder => ((await app.has(`${folder}/package.json`).catch(() => false)) ? [folder] : [])),
  )
  return there.flat()
}
