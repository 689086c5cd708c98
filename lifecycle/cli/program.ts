import { Command, CommanderError, Option } from 'commander'
import { BaleError, exitStatus } from '../errors.ts'
import { pullPolicies } from '../stores/pull-policy.ts'
import { baleVersion } from '../version.ts'
import { addBuilder, addBuildpack } from './builder-commands.ts'
import { type CommandContext, type GlobalOptions, Stopped, makeContext } from './context.ts'
import { addConfig } from './config-commands.ts'
import { collect, examples, type Run, withOutput } from './options.ts'
import { addRegistry } from './registry-commands.ts'
import { renderError } from './render/error.ts'

/** The parts of `process` that the command line uses. */
export type ProgramProcess = Pick<NodeJS.Process, 'env' | 'stdin' | 'stdout' | 'stderr' | 'once' | 'removeListener'>

/** Runs `bale` with these arguments. Returns the exit status. */
export async function runProgram(argv: readonly string[], process: ProgramProcess): Promise<number> {
  let context: CommandContext | undefined
  let failed: ((error: unknown) => number) | undefined
  let status = 0
  const run: Run = async (globals, action, statusOf = exitStatus) => {
    const made = makeContext(globals, process)
    context = made
    failed = statusOf
    status = (await action(made)) ?? 0
  }
  const program = makeProgram(run)
  for (const command of allCommands(program)) asOurs(command, process)
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return status
  } catch (error) {
    await context?.reporter.close()
    if (error instanceof CommanderError)
      return error.exitCode === 0 ? 0 : exitStatus(new BaleError('usage', error.message))
    // Any failure after a stop is a result of the stop.
    const told: unknown = context?.signal.aborted === true ? context.signal.reason : error
    process.stderr.write(renderError(told, { color: context?.color === true, verbose: argv.includes('--verbose') }))
    return told instanceof Stopped ? told.status : (failed ?? exitStatus)(told)
  } finally {
    await context?.close()
  }
}

function makeProgram(run: Run): Command {
  const program = new Command('bale')
    .description('Turns source code into a container image, with no Dockerfile, no daemon and no root.')
    .version(baleVersion)
    .addHelpText(
      'after',
      examples(
        'bale build hello --path examples/flask',
        'bale run hello',
        'bale build registry.example.com/team/app --publish',
      ),
    )
  addBuild(program, run)
  addExecutor(program, run)
  addRebase(program, run)
  addRun(program, run)
  addInspect(program, run)
  addImage(program, run)
  addCache(program, run)
  addStack(program, run)
  addBuilder(program, run)
  addBuildpack(program, run)
  addRegistry(program, run)
  addConfig(program, run)
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
    .showHelpAfterError(`Fix: ${words.join(' ')} --help shows what it takes`)
    .configureOutput({
      writeOut: text => void stdout.write(text),
      writeErr: text => void stderr.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, 'ERROR: ')),
    })
}

function addBuild(program: Command, run: Run): void {
  const command = program
    .command('build')
    .argument(
      '[image]',
      'a name (default: that in project.toml, or of the directory), kept in the local store; or oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE, docker-daemon:NAME, docker://NAME',
    )
    .description('Build an image from source code.')
    .option(
      '--path <source>',
      'the directory with the source; or tar://FILE, tar://stdin, git://HOST/REPOSITORY#REF',
      '.',
    )
    .option('--sub-path <dir>', 'a directory of the source, in place of all of it')
    .option('--builder <builder>', "a builder image, a builder.toml, or a directory with one (default: Bale's own)")
    .addOption(
      new Option('--lifecycle <whose>', 'whose detector and builder run in a builder image')
        .choices(['bale', 'builder'])
        .default('bale'),
    )
    .option(
      '-b, --buildpack <buildpack>',
      "in place of the builder's order: a directory, a .cnb file, an image, ID[@VERSION], from=builder (repeatable)",
      collect,
    )
    .option('--pre-buildpack <buildpack>', 'before all others (repeatable)', collect)
    .option('--post-buildpack <buildpack>', 'after all others (repeatable)', collect)
    .option('-d, --descriptor <file>', 'another project.toml than the one in the source')
    .addOption(
      new Option('--pull-policy <policy>', 'when builder and run image are read from their registry').choices(
        pullPolicies,
      ),
    )
    .option(
      '--env <name=value>',
      'a variable for buildpacks; NAME alone takes its value from here (repeatable)',
      collect,
    )
    .option('--env-file <file>', 'a file of such variables, one a line', collect)
    .option('--tag <image>', 'one more name for the image, anywhere (repeatable)', collect)
    .option('--run-image <image>', "what the app runs on (default: the stack's run image)")
    .option('--publish', 'push to the registry that the name means')
    .option('--docker', 'put a plain name into the Docker daemon, as docker-daemon:NAME')
    .option('--exec-env <name>', 'what the image is for, such as production or test (default: production)')
    .option('--previous-image <image>', 'the image of the last build, if it has another name')
    .option(
      '--creation-time <time>',
      "the image's date: now, or seconds since 1970 (default: SOURCE_DATE_EPOCH, or 1980)",
    )
    .option('--volume <host:target[:rw]>', 'a directory of this machine for buildpacks (repeatable)', collect)
    .option('--sbom-output-dir <dir>', 'write the bills of materials there')
    .option('--clear-cache', 'forget what earlier builds of this image left')
    .option('--cache-image <image>', 'keep what the next build can reuse in a registry, instead of on this machine')
    .option(
      '--cache-from <location>',
      'a cache that machines share, read when this machine has none: type=registry, local, s3, http or redis (repeatable)',
      collect,
    )
    .option(
      '--cache-to <location>',
      'such a cache to write: …,mode=min|max,ttl=7d; it may fail, except with …,required (repeatable)',
      collect,
    )
    .addOption(
      new Option('--compression <kind>', 'of the layers that are made')
        .choices(['gzip', 'zstd', 'none'])
        .default('gzip'),
    )
    .option('--default-process <type>', 'the process that starts when the image is run')
    .addOption(new Option('--network <mode>', 'what buildpacks can reach').choices(['none', 'host']).default('host'))
    .option('--pids <number>', 'how many processes and threads buildpacks may have at one time (default: 4096)')
    .option('--memory <size>', 'how much memory buildpacks may use: 2GB (default: no limit)')
    .option('--disk <size>', 'how large layers and application may become: 10GB (default: no limit)')
    .option('--timeout <duration>', 'how long the build may take: 45s, 30m, 2h (default: 2h)')
    .option('--buildpack-timeout <duration>', 'how long one buildpack may take (default: as long as the build)')
    .option('--report-output-dir <dir>', 'write report.toml there')
    .option('--digest-file <file>', 'write the digest of the image there')
    .option('--image-name-with-digest-file <file>', 'write NAME@DIGEST there, a line for each name')
    .option('--image-name-tag-with-digest-file <file>', 'write NAME:TAG@DIGEST there, a line for each name')
    .option(
      '--secret <id=…>',
      'for buildpacks, as a binding: id=NAME,src=FILE or id=NAME,env=VARIABLE, with type= and key= (repeatable)',
      collect,
    )
    .option('--label <name=value>', 'a label of the image (repeatable)', collect)
    .option('--annotation <name=value>', 'an annotation of its manifest (repeatable)', collect)
    .addOption(new Option('--log-format <format>', 'lines of text, or of JSON: the events').choices(['text', 'json']))
    .option('--log-timestamps', 'the time before each line')
    .addHelpText(
      'after',
      examples(
        'bale build hello --path examples/flask',
        'bale build ghcr.io/me/app:1.2 --tag ghcr.io/me/app:latest --publish',
        'bale build ghcr.io/me/app --publish --cache-image ghcr.io/me/app-cache',
        'bale build app --cache-from type=s3,bucket=builds --cache-to type=s3,bucket=builds,ttl=14d',
        'bale build oci:out:latest --network none',
        'bale build docker-daemon:app --env BP_NODE_VERSION=22',
      ),
    )
  withOutput(command).action(async (image: string | undefined, options: GlobalOptions) => {
    const { buildCommand, buildStatus } = await import('./commands/build.ts')
    await run(options, context => buildCommand(context, image, options), buildStatus)
  })
}

/** Flags are kaniko's, so commander leaves them alone. */
function addExecutor(program: Command, run: Run): void {
  const command = program
    .command('executor')
    .description("Build with the flags of kaniko's executor: docs/from-kaniko.md.")
    .allowUnknownOption()
    .allowExcessArguments()
    .addHelpText('after', examples('bale executor --context dir:///source --destination registry.example.com/app:1.2'))
  command.action(async () => {
    const { parseFlags } = await import('./executor/flags.ts')
    const { mapFlags } = await import('./executor/options.ts')
    const call = mapFlags(parseFlags(command.args))
    const { executorCommand } = await import('./commands/executor.ts')
    const { buildStatus } = await import('./commands/build.ts')
    await run(call.options, context => executorCommand(context, call), buildStatus)
  })
}

function addRebase(program: Command, run: Run): void {
  const command = program
    .command('rebase')
    .argument('<image>', 'an image that was built by buildpacks, named as for build')
    .description('Put an image on the newest version of its run image, without building it again.')
    .option('--run-image <image>', 'another run image (default: the one that it was built on)')
    .option('--tag <image>', 'one more name for the result, anywhere (repeatable)', collect)
    .option('--check', 'only say whether a newer run image is there')
    .option('--force', 'do it though labels, platform or distribution are against it')
    .option('--publish', 'the name means an image in its registry, not in the local store')
    .addHelpText(
      'after',
      examples(
        'bale rebase hello',
        'bale rebase registry.example.com/team/app:1.2 --publish',
        'bale rebase hello --run-image registry.example.com/stacks/run:13 --tag hello:rebased',
      ),
    )
  withOutput(command).action(async (image: string, options: GlobalOptions) => {
    const { rebaseCommand } = await import('./commands/rebase.ts')
    await run(options, context => rebaseCommand(context, image, options))
  })
}

function addRun(program: Command, run: Run): void {
  program
    .command('run')
    .argument('<image>', 'an image in the local store')
    .argument('[args...]', 'arguments for the process, after --')
    .description('Run an image in a sandbox, as its own user.')
    .option('--env <name=value>', 'a variable for the process (repeatable)', collect)
    .option('--env-file <file>', 'a file of such variables, one a line (repeatable)', collect)
    .addOption(
      new Option('--network <mode>', 'what it can reach, and from where it is reached')
        .choices(['none', 'host'])
        .default('host'),
    )
    .option('--process <type>', 'the process to start, instead of the default')
    .option('--verbose', 'print more when it fails')
    .addHelpText(
      'after',
      examples(
        'bale run hello',
        'bale run hello --env PORT=9000',
        'bale run hello --process worker',
        'bale run hello --network none',
        'bale run hello -- --help',
      ),
    )
    .action(async (image: string, args: string[], options: GlobalOptions) => {
      await run(options, async context => {
        const { runCommand } = await import('./commands/run.ts')
        return runCommand(context, image, args, options)
      })
    })
}

function addInspect(program: Command, run: Run): void {
  program
    .command('inspect')
    .argument('<image>', 'an image in the local store, in a registry, or in a file or directory named as for build')
    .description('Show what an image is made of.')
    .addOption(
      new Option('--output <format>', 'for people or for programs').choices(['human', 'json']).default('human'),
    )
    .option('--verbose', 'print more when it fails')
    .addHelpText(
      'after',
      examples('bale inspect hello', 'bale inspect docker://registry.example.com/team/app --output json'),
    )
    .action(async (image: string, options: GlobalOptions) => {
      await run(options, async context => {
        const { inspectCommand } = await import('./commands/inspect.ts')
        return inspectCommand(context, image, options)
      })
    })
}

function addImage(program: Command, run: Run): void {
  const group = program
    .command('image')
    .description('The images in the local store.')
    .addHelpText('after', examples('bale image ls', 'bale image push hello localhost:5000/hello'))
  const add = (usage: string, description: string, ...example: string[]): Command => {
    return withOutput(group.command(usage).description(description)).addHelpText('after', examples(...example))
  }
  const images = async () => import('./commands/image.ts')
  add('ls', 'List them.', 'bale image ls').action(async (options: GlobalOptions) => {
    await run(options, async context => (await images()).listCommand(context))
  })
  add('rm <image...>', 'Remove them, and what only they use.', 'bale image rm hello').action(
    async (names: string[], options: GlobalOptions) => {
      await run(options, async context => (await images()).removeCommand(context, names))
    },
  )
  add('tag <image> <name>', 'Give one another name.', 'bale image tag hello hello:1.0').action(
    async (image: string, name: string, options: GlobalOptions) => {
      await run(options, async context => (await images()).tagCommand(context, image, name))
    },
  )
  add(
    'push <image> [name]',
    'Push one to the registry that its name, or another, means.',
    'bale image push hello localhost:5000/hello',
  ).action(async (image: string, name: string | undefined, options: GlobalOptions) => {
    await run(options, async context => (await images()).pushCommand(context, image, name))
  })
  add(
    'save <image> <destination>',
    'Write one to a file, a directory or a daemon.',
    'bale image save hello docker-archive:hello.tar',
    'bale image save hello oci:out:latest',
  ).action(async (image: string, destination: string, options: GlobalOptions) => {
    await run(options, async context => (await images()).saveCommand(context, image, destination))
  })
}

function addCache(program: Command, run: Run): void {
  const group = program.command('cache').description('What builds and runs leave for the next ones.')
  const output = () =>
    new Option('--output <format>', 'for people or for programs').choices(['human', 'json']).default('human')
  const caches = async () => import('./commands/cache.ts')
  group
    .command('ls')
    .description('List it: of which app, how large, and when it was used last.')
    .addOption(output())
    .addHelpText('after', examples('bale cache ls', 'bale cache ls --output json'))
    .action(async (options: GlobalOptions) => {
      await run(options, async context => (await caches()).listCommand(context, options))
    })
  group
    .command('prune')
    .description('Remove what was not used for 30 days, and what killed builds left. Builds may go on meanwhile.')
    .option('--older-than <age>', 'what was not used for so long: 12h, 30d, 2w')
    .option('--keep-size <size>', 'the least recently used, until the rest is no larger: 500MB, 10GB')
    .addOption(new Option('--all', 'everything that is not in use').conflicts(['olderThan', 'keepSize']))
    .addOption(output())
    .addHelpText(
      'after',
      examples('bale cache prune', 'bale cache prune --older-than 7d --keep-size 10GB', 'bale cache prune --all'),
    )
    .action(async (options: GlobalOptions) => {
      await run(options, async context => (await caches()).pruneCommand(context, options))
    })
}

function addStack(program: Command, run: Run): void {
  const group = program
    .command('stack')
    .description('The images that apps are built in and run on.')
    .addHelpText('after', examples('bale stack create'))
  withOutput(group.command('create'))
    .argument('[dir]', "a directory with a stack.toml (default: that of Bale's own stack)")
    .description('Make a stack from Debian packages, with their newest versions.')
    .addHelpText('after', examples('bale stack create', 'bale stack create stacks/trixie'))
    .action(async (dir: string | undefined, options: GlobalOptions) => {
      await run(options, async context => {
        const { createStackCommand } = await import('./commands/stack.ts')
        return createStackCommand(context, dir)
      })
    })
}
