import { lstat, mkdir, symlink } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import type { Run } from '../sdk/index.ts'

/** A link that a maintainer script creates with `update-alternatives --install`. */
interface Alternative {
  readonly link: string
  readonly path: string
  readonly priority: number
}

/** Creates the links of alternatives in a layer of packages. Of several for one link, the highest priority wins. */
export async function linkAlternatives(run: Run, debs: readonly string[], layer: string): Promise<void> {
  const found: Alternative[] = []
  for (const deb of debs) {
    const { stdout } = await run(['dpkg-deb', '--info', deb, 'postinst'], { quiet: true, allowFailure: true })
    found.push(...parseAlternatives(stdout))
  }
  for (const { link, path } of found.toSorted((a, b) => b.priority - a.priority)) {
    const [from, to] = [join(layer, link), join(layer, path)]
    if (await exists(from)) continue
    if (!(await exists(to))) continue
    await mkdir(dirname(from), { recursive: true })
    await symlink(relative(dirname(from), to), from)
  }
}

/** The alternatives of a maintainer script, with their slaves. It understands only literal paths, and leaves out computed ones. */
export function parseAlternatives(script: string): Alternative[] {
  const lines = script.replaceAll(/\\\n/g, ' ').split('\n')
  return lines.flatMap(line => {
    const [, words = ''] = /^\s*update-alternatives\s+(?:--quiet\s+)?--install\s+(.*)$/.exec(line) ?? []
    const [link = '', , path = '', priority = '', ...rest] = words.trim().split(/\s+/)
    if (!/^\d+$/.test(priority)) return []
    const alternatives = [{ link, path, priority: Number(priority) }]
    for (let i = 0; rest[i] === '--slave'; i += 4) {
      alternatives.push({ link: rest[i + 1] ?? '', path: rest[i + 3] ?? '', priority: Number(priority) })
    }
    return alternatives.filter(a => isLiteral(a.link) && isLiteral(a.path))
  })
}

const isLiteral = (path: string): boolean => /^\/[\w./+:-]+$/.test(path) && !path.split('/').includes('..')

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined
}
