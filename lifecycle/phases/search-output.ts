import { buildpackLayersDir, readLayers } from './layers-dir.ts'
import type { BuildOutput, ImageSettings } from './export.ts'
import { searchExtension } from './search-extension.ts'
import { type Search, searchTree } from './search-tree.ts'

/** What an image is made of besides the output of build: labels, annotations and the project's metadata. */
export type SearchedSettings = Pick<ImageSettings, 'labels' | 'annotations' | 'project'>

/**
 * Searches what the image, the cache and the report are made of: the app, layers for launch and for the cache, bills of
 * materials, labels and all other metadata, and what image extensions have added to the run image. Does not find compressed or encrypted text.
 * @throws BaleError from `found`, for the first place
 */
export async function searchOutput(
  { layersDir, appDir, group, extended }: BuildOutput,
  settings: SearchedSettings,
  search: Search,
  signal?: AbortSignal,
): Promise<void> {
  const { since, ...inApp } = search
  searchSettings(settings, search)
  const dropped = new Set<string>()
  for (const { id } of group) {
    const base = buildpackLayersDir(layersDir.host, id).slice(layersDir.host.length + 1)
    for (const { name, types } of await readLayers(layersDir.host, id))
      if (!types.launch && !types.cache) dropped.add(`${base}/${name}`)
  }
  await searchTree(layersDir, { ...inApp, since, skip: path => dropped.has(path.toString()) }, signal)
  await searchTree(appDir, inApp, signal)
  if (extended !== undefined) await searchExtension(extended, inApp, signal)
}

function searchSettings({ labels = {}, annotations = {}, project }: SearchedSettings, { forms, found }: Search): void {
  const places: readonly (readonly [where: string, text: string])[] = [
    ...Object.entries(labels).map(([name, value]) => [`label ${name}`, `${name}=${value}`] as const),
    ...Object.entries(annotations).map(([name, value]) => [`annotation ${name}`, `${name}=${value}`] as const),
    ['the project’s metadata', JSON.stringify(project)],
  ]
  for (const [where, text] of places) {
    const form = forms.find(({ utf8 }) => text.includes(utf8))
    if (form !== undefined) throw found(form.id, where)
  }
}
