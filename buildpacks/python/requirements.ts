import { dirname, join, normalize } from 'node:path'
import { type App, BuildpackError, digestOf } from '../sdk/index.ts'

/** What the requirements files say, together with the files that they include. */
export interface Requirements {
  readonly files: readonly string[]
  /** Of all of them: as long as it is the same, pip has the same to do. */
  readonly digest: string
  /** True if a package is a folder of the application, whose changes no digest of requirements shows. */
  readonly local: boolean
}

/** @throws BuildpackError for a file that is not there */
export async function readRequirements(app: App, names: readonly string[]): Promise<Requirements> {
  const texts = new Map<string, string>()
  let local = false
  const visit = async (name: string, from: string): Promise<void> => {
    if (texts.has(name)) return
    const text = await app.read(name)
    if (text === undefined)
      throw new BuildpackError(`there is no file ${name}`, { where: from, fix: 'correct the name' })
    texts.set(name, text)
    for (const line of logicalLines(text)) {
      const included = /^(?:-r|-c|--requirement|--constraint)(?:\s+|=)?(\S+)/.exec(line)?.[1]
      // A URL is pip's business, and nobody knows when it changes.
      if (included !== undefined && /^[a-z]+:\/\//i.test(included)) local = true
      else if (included !== undefined) await visit(normalize(join(dirname(name), included)), name)
      else if (isLocal(line)) local = true
    }
  }
  for (const name of names) await visit(normalize(name), 'BP_PIP_REQUIREMENT')
  const parts = [...texts].toSorted(([a], [b]) => (a < b ? -1 : 1))
  return { files: names, digest: digestOf(...parts.flat()), local }
}

/** Lines without comments; a backslash at the end continues one. */
function logicalLines(text: string): string[] {
  const lines = text.replaceAll(/\\\r?\n/g, ' ').split(/\r?\n/)
  return lines.map(line => line.replace(/(^|\s)#.*$/, '').trim()).filter(line => line !== '')
}

/** `-e .`, `./lib`, `../lib`, `lib/`, `wheels/x.whl`, `name @ file:…`. */
function isLocal(line: string): boolean {
  if (/^(-f|--find-links)[\s=]/.test(line)) return !/https?:\/\//.test(line)
  if (/^(-e|--editable)(\s|=)/.test(line)) return !/\s?(git|hg|svn|bzr)?\+?https?:\/\//.test(line)
  if (/(^|@\s*)file:/.test(line)) return true
  return !line.startsWith('-') && /^(\.|[^@\s;]+\/)/.test(line) && !/^[a-z+]+:\/\//i.test(line)
}
