import { BuildpackError } from '../sdk/index.ts'

/** A line of a Procfile: `web: gunicorn main:app`. */
export interface ProcfileEntry {
  readonly type: string
  readonly command: string
}

/**
 * The processes of a Procfile (devcenter.heroku.com, "The Procfile"): a type of letters, digits, dashes and underscores, a colon, and a
 * shell command. Blank lines and lines that start with `#` are ignored.
 * @throws BuildpackError at `Procfile:LINE`
 */
export function parseProcfile(text: string): ProcfileEntry[] {
  const entries = new Map<string, { command: string; line: number }>()
  for (const [index, content] of text.split(/\r\n|\r|\n/).entries()) {
    if (/^\s*(#|$)/.test(content)) continue
    const line = index + 1
    const { type, command } = parseLine(content, `Procfile:${line}`)
    const earlier = entries.get(type)
    if (earlier) {
      throw new BuildpackError(`the process ${type} is already in line ${earlier.line}`, {
        where: `Procfile:${line}`,
        fix: 'remove or rename one of the two',
      })
    }
    entries.set(type, { command, line })
  }
  if (entries.size === 0) {
    throw new BuildpackError('it names no process', { where: 'Procfile', fix: 'add a line such as "web: COMMAND"' })
  }
  return Array.from(entries, ([type, { command }]) => ({ type, command }))
}

function parseLine(content: string, where: string): ProcfileEntry {
  const colon = content.indexOf(':')
  if (colon < 0) {
    throw new BuildpackError('there is no colon between a process type and its command', {
      where,
      fix: 'write it as "web: COMMAND"',
    })
  }
  const type = content.slice(0, colon).trim()
  const command = content.slice(colon + 1).trim()
  if (!/^[A-Za-z0-9_-]+$/.test(type)) {
    throw new BuildpackError(`${JSON.stringify(type.slice(0, 60))} cannot be a process type`, {
      where,
      fix: 'use letters, digits, "-" and "_", such as "web"',
    })
  }
  if (command === '') {
    throw new BuildpackError(`the process ${type} has no command`, {
      where,
      fix: `write "${type}: COMMAND", or remove the line`,
    })
  }
  return { type, command }
}
