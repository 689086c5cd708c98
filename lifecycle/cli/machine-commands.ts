import { type Command, Option } from 'commander'
import type { GlobalOptions } from './context.ts'
import { examples, type Run, withOutput } from './options.ts'

// The commands for data on this machine: `bale cache …` and `bale stack …`.

export function addCache(program: Command, run: Run): void {
  const group = program.command('cache').description('Caches of builds and runs: list and prune them.')
  const output = () =>
    new Option('--output <format>', 'the output format: for people or for programs')
      .choices(['human', 'json'])
      .default('human')
  const caches = async () => import('./commands/cache.ts')
  group
    .command('ls')
    .description('List the caches with their apps, sizes and times of last use.')
    .addOption(output())
    .addHelpText('after', examples('bale cache ls', 'bale cache ls --output json'))
    .action(async (options: GlobalOptions) => {
      await run(options, async context => (await caches()).listCommand(context, options))
    })
  group
    .command('prune')
    .description(
      'Remove caches that were not used for 30 days, and files that killed builds left. Safe while builds run.',
    )
    .option('--older-than <age>', 'remove caches that were not used for this time: 12h, 30d, 2w')
    .option(
      '--keep-size <size>',
      'remove the least recently used caches, until the rest has at most this size: 500MB, 10GB',
    )
    .addOption(new Option('--all', 'remove all caches that no build is using').conflicts(['olderThan', 'keepSize']))
    .addOption(output())
    .addHelpText(
      'after',
      examples('bale cache prune', 'bale cache prune --older-than 7d --keep-size 10GB', 'bale cache prune --all'),
    )
    .action(async (options: GlobalOptions) => {
      await run(options, async context => (await caches()).pruneCommand(context, options))
    })
}

export function addStack(program: Command, run: Run): void {
  const group = program
    .command('stack')
    .description('Stacks: the images that apps are built in and run on.')
    .addHelpText('after', examples('bale stack create'))
  withOutput(group.command('create'))
    .argument('[dir]', "a directory with a stack.toml (default: that of Bale's own stack)")
    .description('Make a stack from the newest Debian packages.')
    .option('--platform <platform>', "linux/amd64 or linux/arm64 (default: this machine's)")
    .addHelpText('after', examples('bale stack create', 'bale stack create stacks/trixie'))
    .action(async (dir: string | undefined, options: GlobalOptions) => {
      await run(options, async context => {
        const { createStackCommand } = await import('./commands/stack.ts')
        return createStackCommand(context, dir, options)
      })
    })
}
