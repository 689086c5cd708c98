import { isatty } from 'node:tty'
import { BaleError } from '../errors.ts'
import type { Interaction } from '../platform/failed-phase-shell.ts'
import type { CommandContext } from './context.ts'
import { renderError } from './render/error.ts'

/**
 * Returns the shell settings of `bale build --interactive`.
 * @throws BaleError 'usage' if no user could type into a shell
 */
export function interactionOf(context: CommandContext): Interaction {
  if (!isatty(0) || !isatty(1))
    throw new BaleError('usage', 'a shell needs a terminal, but input or output is not a terminal', {
      where: '--interactive',
      fix: 'leave it out, or run this in a terminal, without | and >',
    })
  return {
    begin(phase, error) {
      context.releaseSignals()
      context.print(renderError(error, { color: context.color, verbose: false }).trimEnd())
      context.print(`This is a shell in the sandbox of ${phase}; exit it to end the failed build`)
    },
    signals: process,
    term: context.env['TERM'],
  }
}
