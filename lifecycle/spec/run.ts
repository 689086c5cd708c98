import { errorAt, optionalText, readToml, table, tables, text, texts } from './read.ts'
import type { RunDocument } from './types.ts'

/** run.toml (platform.md, "run.toml"). Entries without an image are left out. */
export function parseRun(content: Uint8Array | string, where: string): RunDocument {
  const images = tables(readToml(content, where), 'images').flatMap(node => {
    const { image } = optionalText(node, 'image', 'image')
    const mirrors = texts(node, 'mirrors').filter(m => m !== '')
    if (image !== undefined) return [{ image, mirrors }]
    if (mirrors.length > 0) throw errorAt(node, 'mirrors', 'mirrors without an image', 'add image = "…"')
    return []
  })
  return { images }
}

/** stack.toml, its predecessor before Platform API 0.12: one run image. */
export function parseStack(content: Uint8Array | string, where: string): RunDocument {
  const node = table(readToml(content, where), 'run-image')
  const image = node && text(node, 'image')
  return { images: node && image ? [{ image, mirrors: texts(node, 'mirrors').filter(m => m !== '') }] : [] }
}
