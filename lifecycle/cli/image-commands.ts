import { type Command, Option } from 'commander'
import type { GlobalOptions } from './context.ts'
import { collect, examples, outputOption, type Run, withOutput } from './options.ts'

// The commands that use images: `bale run`, `bale inspect` and `bale image …`.

type RunFlags = Omit<GlobalOptions, 'publish'> & { readonly publish?: readonly string[] }

export function addRun(program: Command, run: Run): void {
  program
    .command('run')
    .argument('<image>', 'an image in the local store')
    .argument('[args...]', 'arguments for the process, after --')
    .description('Run an image in a sandbox, as its own user.')
    .option('-e, --env <name=value>', 'a variable for the process (repeatable)', collect)
    .option('--env-file <file>', 'a file of such variables, one per line (repeatable)', collect)
    .addOption(
      new Option('--network <mode>', 'the network that the program uses').choices(['none', 'host']).default('host'),
    )
    .option(
      '--platform <platform>',
      "the image to run from an index: linux/amd64 or linux/arm64 (default: this machine's)",
    )
    .option('--process <type>', 'the process to start (default: the default process of the image)')
    .option(
      '-v, --volume <host:path[:rw]>',
      'a file or directory of this machine to mount, read-only by default (repeatable)',
      collect,
    )
    .option('-m, --memory <size>', 'how much memory it may use: 512MB (default: no limit)')
    .option(
      '-p, --publish <[address:]port:port>',
      'publish a port of the program on this machine (repeatable)',
      collect,
    )
    .option('--verbose', 'print details of a failure')
    .addHelpText(
      'after',
      examples(
        'bale run hello',
        'bale run hello --env PORT=9000',
        'bale run hello --process worker',
        'bale run hello --network none',
        'bale run hello --publish 9000:8080 --volume ./data:/data:rw --memory 512MB',
        'bale run hello -- --help',
      ),
    )
    .action(async (image: string, args: string[], { publish: ports, ...options }: RunFlags) => {
      await run(options, async context => {
        const { runCommand } = await import('./commands/run.ts')
        return runCommand(context, image, args, { ...options, ports })
      })
    })
}

export function addInspect(program: Command, run: Run): void {
  program
    .command('inspect')
    .alias('inspect-image')
    .argument('<image>', 'an image in the local store, in a registry, or in a file or directory named as for build')
    .description('Show the contents of an image.')

    .addOption(outputOption())
    .option('-v, --verbose', 'print details of a failure')
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

/** `bale history` and `bale logs` */
export function addHistory(program: Command, run: Run): void {
  program
    .command('history')
    .argument('[image]', 'the name of an app, or NAME:TAG of one image (default: all apps)')
    .description('List past builds on this machine, newest first: result, digest and changes.')
    .addOption(outputOption())
    .addHelpText('after', examples('bale history', 'bale history hello', 'bale history hello --output json'))
    .action(async (image: string | undefined, options: GlobalOptions) => {
      await run(options, async context =>
        (await import('./commands/history.ts')).historyCommand(context, image, options),
      )
    })
  program
    .command('logs')
    .argument('<image>', 'the name of an app')
    .argument('[build]', 'the number that bale history shows (default: the newest)')
    .description('Show the log of a recent build of an app.')
    .addOption(outputOption())
    .addHelpText('after', examples('bale logs hello', 'bale logs hello 12'))
    .action(async (image: string, build: string | undefined, options: GlobalOptions) => {
      await run(options, async context =>
        (await import('./commands/history.ts')).logsCommand(context, image, build, options),
      )
    })
}

export function addImage(program: Command, run: Run): void {
  const group = program
    .command('image')
    .description('Images in the local store: list, remove, tag, push and save them.')
    .addHelpText('after', examples('bale image ls', 'bale image push hello localhost:5000/hello'))
  const add = (usage: string, description: string, ...example: string[]): Command => {
    return withOutput(group.command(usage).description(description)).addHelpText('after', examples(...example))
  }
  const images = async () => import('./commands/image.ts')
  add('ls', 'List them.', 'bale image ls').action(async (options: GlobalOptions) => {
    await run(options, async context => (await images()).listCommand(context))
  })
  add('rm <image...>', 'Remove images, and the layers that only they use.', 'bale image rm hello').action(
    async (names: string[], options: GlobalOptions) => {
      await run(options, async context => (await images()).removeCommand(context, names))
    },
  )
  add('tag <image> <name>', 'Give an image another name.', 'bale image tag hello hello:1.0').action(
    async (image: string, name: string, options: GlobalOptions) => {
      await run(options, async context => (await images()).tagCommand(context, image, name))
    },
  )
  add(
    'push <image> [name]',
    'Push an image to the registry in its name, or in another name.',
    'bale image push hello localhost:5000/hello',
    'bale image push bale.local/stacks/trixie:run localhost:5000/run --format docker',
  )
    .addOption(
      new Option(
        '-f, --format <format>',
        'the media types (default: unchanged); docker if other tools rebase the image',
      ).choices(['oci', 'docker']),
    )
    .action(async (image: string, name: string | undefined, options: GlobalOptions) => {
      await run(options, async context => (await images()).pushCommand(context, image, name, options))
    })
  add(
    'save <image> <destination>',
    'Write an image to a file, a directory or a daemon.',
    'bale image save hello docker-archive:hello.tar',
    'bale image save hello oci:out:latest',
  ).action(async (image: string, destination: string, options: GlobalOptions) => {
    await run(options, async context => (await images()).saveCommand(context, image, destination))
  })
}
