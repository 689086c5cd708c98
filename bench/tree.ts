import { createCipheriv } from 'node:crypto'
import { mkdirSync, readFileSync, readdirSync, symlinkSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Tree {
  readonly path: string
  readonly files: number
  readonly bytes: number
}

/** Programs of a hundred megabytes, which are left out: an application's node_modules has none. */
const leftOut = [/^node$/, /^binaryen\/bin$/, /^\./]

/**
 * A realistic node_modules: the packages of this checkout's package-lock.json, in several copies. The files of each copy begin
 * with a different line, so that no two blocks of a layer are the same.
 * Four copies have 25,000 files and 670 MB.
 */
export function makeTree(from: string, to: string, copies: number): Tree {
  const total = { path: to, files: 0, bytes: 0 }
  for (let i = 0; i < copies; i++) copyDir(from, join(to, `copy-${i}`), '', `copy ${i}\n`, total)
  return total
}

function copyDir(from: string, to: string, path: string, line: string, total: { files: number; bytes: number }): void {
  mkdirSync(to, { recursive: true })
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const below = path === '' ? entry.name : `${path}/${entry.name}`
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (leftOut.some(pattern => pattern.test(below))) continue
    if (entry.isDirectory()) copyDir(source, target, below, line, total)
    else if (entry.isSymbolicLink()) symlinkSync(readlinkSync(source), target)
    else if (entry.isFile()) {
      const content = Buffer.concat([Buffer.from(line), readFileSync(source)])
      writeFileSync(target, content)
      total.files++
      total.bytes += content.length
    }
  }
}

/** Files of `size` bytes that do not compress. No two are the same. */
export function makeNoise(to: string, files: number, size: number, seed = 0): Tree {
  const noise = createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16))
  const zeros = Buffer.alloc(size)
  for (let i = 0; i < files; i++) {
    const dir = join(to, `dir-${Math.floor(i / 500)}`)
    if (i % 500 === 0) mkdirSync(dir, { recursive: true })
    writeFileSync(join(dir, `file-${i}`), noise.update(zeros))
  }
  return { path: to, files, bytes: files * size }
}
