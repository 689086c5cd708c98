import { BaleError } from '../../errors.ts'
import { explainErrno } from '../../files/wrap-errno.ts'
import { makeStyle, printable, printableLines } from '../text.ts'

/** Renders a failure for the user: what went wrong, where, and what to do. Shows a stack trace only for a bug in Bale. */
export function renderError(thrown: unknown, options: { color: boolean; verbose: boolean }): string {
  const error = explainErrno(thrown)
  const style = makeStyle(options.color)
  const lines: string[] = []
  if (error instanceof BaleError) {
    const where = error.where === undefined ? '' : `${printable(error.where)}: `
    lines.push(`${style.red('ERROR:')} ${where}${printableLines(error.message)}`)
    if (error.fix !== undefined) lines.push(`${style.bold('Fix:')} ${printable(error.fix)}`)
    if (options.verbose) lines.push(...causes(error))
  } else {
    const text = error instanceof Error ? error.message : String(error)
    lines.push(
      `${style.red('ERROR:')} ${printableLines(text)}`,
      'This is a bug in Bale; run again with --verbose and report the output.',
    )
    if (options.verbose && error instanceof Error) lines.push(error.stack ?? '', ...causes(error))
  }
  return `${lines.join('\n')}\n`
}

function causes(error: Error): string[] {
  const lines: string[] = []
  for (let cause = error.cause; cause instanceof Error && lines.length < 5; cause = cause.cause)
    lines.push(`Caused by: ${printableLines(cause.message)}`)
  return lines
}
