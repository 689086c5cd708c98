import type { EventEmitter } from 'node:events'
import type { Engine, EngineRun } from '../engines/engine.ts'
import { BaleError } from '../errors.ts'
import type { BuildpackPhase, PhaseRunner } from '../phase-runner.ts'

/** The reaction to a failure of detect or build on a terminal. */
export interface Interaction {
  /** Called before the shell starts. Shows the failure, and leaves terminal and signals to the shell. */
  begin(phase: BuildpackPhase, error: unknown): void | Promise<void>
  readonly signals: Pick<EventEmitter, 'on' | 'off'>
  /** TERM of the caller's environment. */
  readonly term?: string | undefined
}

/** A file in the layers directory. It never gets into an image. */
export const keptEnvironment = '.environment.sh'

/**
 * Wraps a runner: a phase that fails is followed by a shell in the same sandbox, in the directory of the application, with the
 * variables of the failed buildpack or, if no buildpack failed, of the phase. The result is still the failure.
 * @param describe the run of a phase
 */
export function withShell(
  runner: PhaseRunner,
  engine: Engine,
  interaction: Interaction,
  describe: (phase: BuildpackPhase) => Promise<Omit<EngineRun, 'onOutput'>>,
): PhaseRunner {
  return {
    async run(phase, signal) {
      try {
        await runner.run(phase, signal)
      } catch (error) {
        // If the sandbox itself cannot be made, there is no shell.
        if (signal?.aborted === true || (error instanceof BaleError && error.code === 'engine')) throw error
        const run = await describe(phase)
        await interaction.begin(phase, error)
        await engine.attach?.(shellOf(run, interaction.term), interaction.signals)
        throw error
      }
    },
  }
}

/** Starts bash if the build image has it, otherwise sh. Neither reads a startup file of an image or a buildpack. */
const start = `
[ ! -r "$1" ] || . "$1"
PS1='(sandbox) \\w \\$ '
export PS1
if command -v bash >/dev/null 2>&1; then exec bash --norc --noprofile -i; fi
PS1='(sandbox) $ '
unset ENV
exec sh -i`

function shellOf(run: Omit<EngineRun, 'onOutput'>, term = 'dumb'): Omit<EngineRun, 'onOutput'> {
  const layers = run.env['CNB_LAYERS_DIR'] ?? '/layers'
  return {
    ...run,
    argv: ['/bin/sh', '-c', start, 'sh', `${layers}/${keptEnvironment}`],
    env: { ...run.env, TERM: term },
  }
}
