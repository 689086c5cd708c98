import { Command, CommanderError } from 'commander'
import { BaleError, exitStatus } from '../errors.ts'
import { baleVersion } from '../version.ts'
import { addBuild, addExecutor, addPlan, addRebase, addSource } from './build-commands.ts'
import { addBuilder, addBuildpack, addExtension } from './builder-commands.ts'
import { type CommandContext, Stopped, makeContext, type ProgramProcess } from './context.ts'
import { addConfig } from './config-commands.ts'
import { addHistory, addImage, addInspect, addRun } from './image-commands.ts'
import { addCache, addStack } from './machine-commands.ts'
import { examples, type Run } from './options.ts'
import { withoutLeading } from './pack-options.ts'
import { addRegistry } from './registry-commands.ts'
import { withGeneral } from './general-options.ts'
import { renderError } from './render/error.ts'

/** Runs `bale` with these arguments. Returns the exit status. */
export async function runProgram(argv: readonly string[], process: ProgramProcess): Promise<number> {
  let context: CommandContext | undefined
  let failed: ((error: unknown) => number) | undefined
  let status = 0
  let verbose = false
  const run: Run = async (globals, action, statusOf = exitStatus) => {
    verbose = globals.verbose === true
    const made = makeContext(globals, process)
    context = made
    failed = statusOf
    status = (await action(made)) ?? 0
  }
  const program = makeProgram(run)
  for (const command of allCommands(program)) asOurs(command, process)
  const words = withoutLeading(argv)
  try {
    await program.parseAsync(words, { from: 'user' })
    return status
  } catch (error) {
    await context?.reporter.close()
    if (
      error instanceof CommanderError &&
      error.code === 'commander.excessArguments' &&
      /^(build|plan)$/.test(words[0] ?? '')
    )
      process.stderr.write(`Write the directory of the source after --path: bale ${words[0]} NAME --path DIR\n`)
    if (error instanceof CommanderError)
      return error.exitCode === 0 ? 0 : exitStatus(new BaleError('usage', error.message))
    // A failure after a stop is a consequence of the stop.
    const told: unknown = context?.signal.aborted === true ? context.signal.reason : error
    process.stderr.write(renderError(told, { color: context?.color === true, verbose }))
    return told instanceof Stopped ? told.status : (failed ?? exitStatus)(told)
  } finally {
    await context?.close()
  }
}

/** Defines all commands with their actions. `run` decides whether to perform an action. */
export function makeProgram(run: Run): Command {
  const program = new Command('bale')
    .description('Turns source code into a container image, with no Dockerfile, no daemon and no root.')
    .version(baleVersion, '--version')
    // Behind a command, --version is that of `bale buildpack new`.
    .enablePositionalOptions()
    .addHelpText(
      'after',
      examples(
        'bale build hello --path examples/flask',
        'bale run hello',
        'bale build registry.example.com/team/app --publish',
      ),
    )
  addBuild(program, run)
  addPlan(program, run)
  addExecutor(program, run)
  addRebase(program, run)
  addSource(program, run)
  addRun(program, run)
  addInspect(program, run)
  addHistory(program, run)
  addImage(program, run)
  addCache(program, run)
  addStack(program, run)
  addBuilder(program, run)
  addBuildpack(program, run)
  addExtension(program, run)
  addRegistry(program, run)
  addConfig(program, run)
  // The flags of kaniko are not parsed here.
  for (const command of allCommands(program))
    if (command.commands.length === 0 && command.name() !== 'executor') withGeneral(command)
  return program
}

function* allCommands(command: Command): Generator<Command> {
  yield command
  for (const child of command.commands) yield* allCommands(child)
}

/** Makes commander throw instead of exiting, so that its errors look like all others. */
function asOurs(command: Command, { stdout, stderr }: ProgramProcess): void {
  const words: string[] = []
  for (let c: Command | null = command; c !== null; c = c.parent) words.unshift(c.name())
  command
    .exitOverride()
    .showHelpAfterError(`Fix: ${words.join(' ')} --help shows its arguments and options`)
    .configureOutput({
      writeOut: text => void stdout.write(text),
      writeErr: text => void stderr.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, 'ERROR: ')),
    })
}
