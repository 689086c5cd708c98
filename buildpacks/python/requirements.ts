import { readFile } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path'
import { type App, BuildpackError, digestOf, textOf } from '../sdk/index.ts'

/** The files that pip would read, and whether they determine what it installs. */
export interface Requirements {
  /** The names, for users. */
  readonly title: string
  /** All files that pip reads: the named files and the files that they include. */
  readonly files: readonly string[]
  /** Options that name them: `-r requirements.txt`. */
  readonly args: readonly string[]
  /** A digest of all files that pip reads: as long as it is the same, pip gets the same input. */
  readonly digest: string
  /** The place of something that no digest of files fixes: a branch, a folder of the application, an unknown option. */
  readonly open: string | undefined
  /**
   * Each package has its digest, and pip then accepts no other (pip.pypa.io, "Secure installs"): the files alone determine what it
   * installs.
   */
  readonly hashed: boolean
}

/**
 * Reads requirements files and the files that they include.
 * @param constraints files that settings name, PIP_CONSTRAINT
 * @throws BuildpackError for a file that does not exist, or is outside the application
 */
export async function readRequirements(
  app: App,
  names: readonly string[],
  constraints: readonly { readonly file: string; readonly where: string }[] = [],
): Promise<Requirements> {
  const texts = new Map<string, string>()
  let open: string | undefined
  let hashed = true
  const visit = async (name: string, from: string): Promise<void> => {
    if (texts.has(name)) return
    checkInside(name, from)
    if (!(await app.has(name)))
      throw new BuildpackError(`there is no file ${name}`, { where: from, fix: 'correct the name' })
    const text = textOf(await readFile(app.at(name)))
    texts.set(name, text)
    for (const { line, number } of logicalLines(text)) {
      const where = `${name}:${number}`
      const included = /^(?:-r|-c|--requirement|--constraint)(?:\s+|=)?(\S+)$/.exec(line)?.[1]
      if (included !== undefined && !/^[a-z]+:\/\/|\$\{/i.test(included)) {
        await visit(normalize(join(dirname(name), included)), where)
      } else if (!isFixed(line)) {
        const path = localPath(line)
        if (path !== undefined) checkInside(normalize(path), where)
        open ??= where
      } else if (!/^-(?!e|-editable)/.test(line)) hashed &&= /\s--hash[=\s]/.test(line)
    }
  }
  for (const name of names) await visit(normalize(name), 'BP_PIP_REQUIREMENT')
  for (const { file, where } of constraints) {
    if (/^[a-z]+:\/\//i.test(file)) open ??= where
    else await visit(normalize(file), where)
  }
  const parts = [...texts].toSorted(([a], [b]) => (a < b ? -1 : 1))
  return {
    title: names.join(', '),
    files: parts.map(([file]) => file),
    args: names.flatMap(name => ['-r', name]),
    digest: digestOf(...parts.flat()),
    open,
    hashed,
  }
}

function checkInside(path: string, where: string): void {
  if (path !== '..' && !path.startsWith('../') && !path.startsWith('/')) return
  throw new BuildpackError(`${path} is outside the application, so it is not in the build`, {
    where,
    fix: 'build the directory that contains both, or copy it into the application',
  })
}

/** Lines without comments, with the numbers of their first lines; a backslash at the end continues one. */
function logicalLines(text: string): { line: string; number: number }[] {
  const found: { line: string; number: number }[] = []
  let parts: string[] = []
  for (const [index, raw] of text.split(/\r\n|\r|\n/).entries()) {
    const continued = raw.endsWith('\\')
    parts.push(continued ? raw.slice(0, -1) : raw)
    if (continued) continue
    const line = parts
      .join(' ')
      .replace(/(^|\s)#.*$/, '')
      .trim()
    if (line !== '') found.push({ line, number: index + 2 - parts.length })
    parts = []
  }
  const rest = parts.join(' ').trim()
  return rest === '' ? found : [...found, { line: rest, number: 1 }]
}

const name = '[A-Za-z0-9](?:[\\w.-]*[A-Za-z0-9])?(?:\\s*\\[[^\\]]*\\])?'
const marker = '(?:\\s*;[^@]*)?'
const fixedLines = [
  // A name with versions, a marker and hashes. A file `x.whl` or `x.zip` in the application looks like a name.
  new RegExp(`^(?!\\S+\\.(?:whl|zip|tar|tgz|gz|bz2|xz)(?:[\\s;[]|$))${name}\\s*(?:\\(?[=<>!~][^;@/]*)?${marker}$`),
  // A full commit, or an archive whose digest is in the fragment.
  new RegExp(
    `^(?:-e\\s+|--editable[\\s=])?(?:${name}\\s*@\\s*)?git\\+[a-z+]+://[^\\s#]+@[0-9a-f]{40}(?:#\\S*)?${marker}$`,
  ),
  new RegExp(`^(?:${name}\\s*@\\s*)?https?://[^\\s#]+#(?:\\S*&)?sha(?:256|384|512)=[0-9a-f]+\\S*${marker}$`),
  /^(?:-i|--index-url|--extra-index-url|--trusted-host)(?:\s+|=)\S+$/,
  /^--(?:no-index|pre|prefer-binary|require-hashes)$/,
  /^--(?:no-binary|only-binary|use-feature)(?:\s+|=)\S+$/,
]

/** True only for a line that is known to install the same package again. Any other line may read something that no digest covers. */
function isFixed(line: string): boolean {
  const bare = line.replaceAll(/\s+--hash[=\s]\S+/g, '').trim()
  return !bare.includes('${') && fixedLines.some(pattern => pattern.test(bare))
}

/** The path in a line, if it certainly is one: `-e ../lib`, `file:../lib`, `../x.whl`, `-f ../wheels`. */
function localPath(line: string): string | undefined {
  const target = /^(?:(?:-e|--editable|-f|--find-links)(?:\s+|=)|[^\s@]+\s*@\s*(?=file:))?(\S+)/.exec(line)?.[1]
  // An absolute file URL may name a file of the build image.
  if (target === undefined || /^file:\/\/|^[a-z+]+:\/\//i.test(target)) return undefined
  const path = target.replace(/^file:/, '').replace(/\[[^\]]*\]$/, '')
  return path.startsWith('.') ? path : undefined
}
