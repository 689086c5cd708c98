import { chmod, mkdir, readFile, readdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** A file's text; `{ script }` is an executable one, `{ link }` a symbolic link, `{ dir }` an empty directory. */
export type TreeEntry =
  string | Uint8Array | { readonly script: string } | { readonly link: string } | { readonly dir: true }

/** A tree as a literal: `{ 'app/go.mod': 'module x' }`. */
export type Tree = Readonly<Record<string, TreeEntry>>

/** Writes a tree below `root`. */
export async function writeTree(root: string, tree: Tree): Promise<void> {
  for (const [path, entry] of Object.entries(tree)) {
    const file = join(root, path)
    await mkdir(dirname(file), { recursive: true })
    if (typeof entry === 'string' || entry instanceof Uint8Array) await writeFile(file, entry)
    else if ('link' in entry) await symlink(entry.link, file)
    else if ('dir' in entry) await mkdir(file, { recursive: true })
    else {
      await writeFile(file, `#!/bin/sh\n${entry.script}\n`)
      await chmod(file, 0o755)
    }
  }
}

/** Every regular file below `root`, by path. */
export async function readTree(root: string): Promise<Record<string, string>> {
  const tree: Record<string, string> = {}
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isFile()) tree[path.slice(root.length + 1)] = await readFile(path, 'utf8')
  }
  return tree
}
