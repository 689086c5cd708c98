import { Argument, type Command, Option } from 'commander'
import { pullPolicies } from '../stores/pull-policy.ts'
import { writeCompletion } from './completion.ts'
import type { GlobalOptions } from './context.ts'
import { type Run, collect, examples } from './options.ts'

const configs = async () => import('./commands/config.ts')

/** `bale config …`, `report`, `completion`, `version` */
export function addConfig(program: Command, run: Run): void {
  const group = program
    .command('config')
    .description('Settings of this user for all commands.')
    .addHelpText(
      'after',
      examples('bale config default-builder heroku/builder:24', 'bale config default-builder --unset'),
    )
  const single = (name: string, description: string, value: Argument): void => {
    group
      .command(name)
      .addArgument(value)
      .description(description)
      .option('--unset', 'forget it')
      .action(async (text: string | undefined, options: GlobalOptions) => {
        await run(options, async context => (await configs()).valueCommand(context, name, text, options))
      })
  }
  single('default-builder', 'The builder of builds that name none.', new Argument('[builder]'))
  single('pull-policy', 'When images are read from their registry.', new Argument('[policy]').choices(pullPolicies))
  single(
    'default-destination',
    'Where images with plain names go: the local store, or the Docker daemon.',
    new Argument('[place]').choices(['store', 'docker']),
  )
  const mirrors = group.command('run-image-mirrors').description('More names of run images, tried first.')
  mirrors
    .command('add')
    .argument('<image>', 'the run image, as its builder names it')
    .requiredOption('-m, --mirror <image>', 'another name of the same image (repeatable)', collect)
    .action(async (image: string, options: GlobalOptions) => {
      await run(options, async context => (await configs()).addMirrorCommand(context, image, options))
    })
  mirrors
    .command('remove')
    .argument('<image>')
    .option('-m, --mirror <image>', 'the name to forget (repeatable; default: all)', collect)
    .action(async (image: string, options: GlobalOptions) => {
      await run(options, async context => (await configs()).removeMirrorCommand(context, image, options))
    })
  mirrors.command('list').action(async (options: GlobalOptions) => {
    await run(options, async context => (await configs()).listMirrorsCommand(context))
  })
  program
    .command('report')
    .description('Show what a bug report needs: versions, settings, and what this machine can do.')
    .option('-e, --explicit', 'names of builders and registries too')
    .action(async (options: GlobalOptions) => {
      await run(options, async context => (await import('./commands/report.ts')).reportCommand(context, options))
    })
  program
    .command('completion')
    .description('Print a script that completes commands and options in a shell.')
    .addOption(new Option('--shell <name>', 'the shell').choices(['bash', 'zsh', 'fish']).default('bash'))
    .addHelpText(
      'after',
      examples('. <(bale completion)', 'bale completion --shell fish > ~/.config/fish/completions/bale.fish'),
    )
    .action(async (options: GlobalOptions) => {
      await run(options, context => Promise.resolve(context.print(writeCompletion(program, options.shell ?? 'bash'))))
    })
  program
    .command('version')
    .description('Print the version.')
    .action(async (options: GlobalOptions) => {
      await run(options, context => Promise.resolve(context.print(program.version() ?? '')))
    })
}
