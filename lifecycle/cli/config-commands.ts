import { Argument, type Command, Option } from 'commander'
import { pullPolicies } from '../stores/pull-policy.ts'
import type { MirrorKind } from './commands/config.ts'
import { writeCompletion } from './completion.ts'
import type { GlobalOptions } from './context.ts'
import { noteIn } from './unused-options.ts'
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
      .option('-u, --unset', 'forget it')
      .action(async (text: string | undefined, options: GlobalOptions) => {
        await run(options, async context => (await configs()).valueCommand(context, name, text, options))
      })
  }
  single('default-builder', 'The default builder.', new Argument('[builder]'))
  single('pull-policy', 'When to pull images from their registry.', new Argument('[policy]').choices(pullPolicies))
  single(
    'default-destination',
    'Where to write images with plain names: the local store or the Docker daemon.',
    new Argument('[place]').choices(['store', 'docker']),
  )
  addMirrors(group, run, 'run-image-mirrors', {
    description: 'Mirrors of run images, which are tried first.',
    argument: '<image>',
    what: 'the run image, by its name in the builder',
    mirror: '--mirror <image>',
  })
  addMirrors(group, run, 'registry-mirrors', {
    description: 'Mirrors of registries, which are tried first for builders and run images.',
    argument: '<registry>',
    what: 'the registry, with its port: docker.io',
    mirror: '--mirror <registry>',
  })
  const unused = (name: string, why: string): void => {
    group
      .command(name, { hidden: true })
      .argument('[words...]')
      .addOption(new Option('-u, --unset').hideHelp())
      .action(async (_words: readonly string[], options: GlobalOptions) => {
        await run(options, context => Promise.resolve(noteIn(context)(`config ${name} changes nothing: ${why}`)))
      })
  }
  unused('trusted-builders', 'analysis, restore and export, which have the credentials, never run in a builder')
  unused('lifecycle-image', 'analysis, restore and export run in this program')
  unused('experimental', 'no feature has to be switched on')
  unused('registries', 'Bale reads no index of buildpack names; name an image, a .cnb file or a directory')
  program
    .command('report')
    .description('Show what a bug report needs: versions, settings and capabilities of this machine.')
    .option('-e, --explicit', 'also show names of builders and registries')
    .action(async (options: GlobalOptions) => {
      await run(options, async context => (await import('./commands/report.ts')).reportCommand(context, options))
    })
  program
    .command('completion')
    .description('Print a script that completes commands and options in a shell.')
    .addOption(new Option('-s, --shell <name>', 'the shell').choices(['bash', 'zsh', 'fish']).default('bash'))
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

/** Adds the commands `add`, `remove` and `list` for one kind of mirrors. */
function addMirrors(
  group: Command,
  run: Run,
  kind: MirrorKind,
  texts: { readonly description: string; readonly argument: string; readonly what: string; readonly mirror: string },
): void {
  const mirrors = group.command(kind).description(texts.description)
  mirrors
    .command('add')
    .description(`Add to the ${kind}.`)
    .argument(texts.argument, texts.what)
    .requiredOption(`-m, ${texts.mirror}`, 'a mirror (repeatable)', collect)
    .action(async (name: string, options: GlobalOptions) => {
      await run(options, async context => (await configs()).addMirrorCommand(context, kind, name, options))
    })
  mirrors
    .command('remove')
    .description(`Remove from the ${kind}.`)
    .argument(texts.argument)
    .option(`-m, ${texts.mirror}`, 'the mirror to remove (repeatable; default: all)', collect)
    .action(async (name: string, options: GlobalOptions) => {
      await run(options, async context => (await configs()).removeMirrorCommand(context, kind, name, options))
    })
  mirrors
    .command('list')
    .description(`List the ${kind}.`)
    .action(async (options: GlobalOptions) => {
      await run(options, async context => (await configs()).listMirrorsCommand(context, kind))
    })
}
