import { type Command, Option } from 'commander'
import type { ModuleKind } from '../phases/buildpacks-dir.ts'
import { pullPolicies } from '../stores/pull-policy.ts'
import type { TestOptions } from './commands/buildpack-test.ts'
import type { GlobalOptions } from './context.ts'
import { unusedInInspect, unusedInPackages, withUnused } from './unused-options.ts'
import { type Run, collect, collectList, examples, outputOption, withOutput } from './options.ts'

const builders = async () => import('./commands/builder.ts')
const buildpacks = async () => import('./commands/buildpack.ts')
const extensions = async () => import('./commands/extension.ts')

const pullPolicy = (): Option =>
  new Option('--pull-policy <policy>', 'when to pull images from their registry').choices(pullPolicies)
const target = (command: Command): Command =>
  command.option(
    '-t, --target <os/arch>',
    "a platform (repeatable; several make an index; default: this machine's)",
    collect,
  )
const label = (command: Command): Command =>
  command.option('-l, --label <name=value>', 'a label of the image (repeatable)', collect)

/** `bale builder …` */
export function addBuilder(program: Command, run: Run): void {
  const group = program
    .command('builder')
    .description('Builders: images with buildpacks, their order and a build image.')
    .addHelpText(
      'after',
      examples('bale builder inspect heroku/builder:24', 'bale builder create acme/builder --config builder.toml'),
    )
  withUnused(label(target(withOutput(group.command('create')))), unusedInPackages)
    .argument('<image>', 'the name, as for build')
    .description('Make a builder image from a builder.toml.')
    .requiredOption('-c, --config <file>', 'a builder.toml, or a directory with one')
    .option('--run-image <image>', 'the name of the run image in the builder (default: the one in builder.toml)')
    .option('--tag <image>', 'another name, at any destination (repeatable, or with commas)', collectList)
    .option('--publish', 'push to the registry in the name')
    .addOption(pullPolicy())
    .addHelpText('after', examples('bale builder create registry.example.com/builder --config builder.toml --publish'))
    .action(async (image: string, options: GlobalOptions) => {
      await run(options, async context => (await builders()).createCommand(context, image, options))
    })
  group
    .command('inspect')
    .alias('inspect-builder')
    .argument('[image]', 'a builder image, at any destination (default: the default builder)')
    .description('Show the contents of a builder.')
    .option('-d, --depth <number>', 'how many levels of composite buildpacks to show in the order (default: all)')
    .addOption(outputOption())
    .option('-v, --verbose', 'print details of a failure')
    .addHelpText('after', examples('bale builder inspect heroku/builder:24 --output json'))
    .action(async (image: string | undefined, options: GlobalOptions) => {
      await run(options, async context => (await builders()).inspectCommand(context, image, options))
    })
  group
    .command('suggest')
    .description('List recommended builders.')
    .action(async (options: GlobalOptions) => {
      await run(options, async context => (await builders()).suggestCommand(context))
    })
}

/** `bale buildpack …` */
export function addBuildpack(program: Command, run: Run): void {
  const group = program
    .command('buildpack')
    .description('Buildpacks: make, test, package and inspect them.')
    .addHelpText(
      'after',
      examples(
        'bale buildpack new acme/hello',
        'bale buildpack test hello',
        'bale buildpack package hello.cnb --format file',
      ),
    )
  group
    .command('new')
    .argument('<id>', 'such as acme/hello')
    .description('Make a directory for a new buildpack.')
    .option('-a, --api <version>', 'the Buildpack API', '0.10')
    .option('-p, --path <dir>', 'the directory to make (default: named after the id)')
    .option('-V, --version <version>', 'the version of the buildpack', '1.0.0')
    .option(
      '-t, --targets <os/arch>',
      "a platform that it supports, with :NAME@VERSION also a distribution (repeatable; default: this machine's)",
      collect,
    )
    .addOption(
      new Option('-l, --language <language>', 'the language that it is written in')
        .choices(['shell', 'typescript'])
        .default('shell'),
    )
    .addHelpText(
      'after',
      examples('bale buildpack new acme/hello --path hello', 'bale buildpack new acme/pages --language typescript'),
    )
    .action(async (id: string, options: GlobalOptions) => {
      await run(options, async context => (await buildpacks()).newCommand(context, id, options))
    })
  withOutput(group.command('test'))
    .argument('[dir]', "the buildpack's directory", '.')
    .description('Build applications with a buildpack in the sandbox, and check the results.')
    .option(
      '--app <dir>',
      'an application with an expect.json (repeatable; default: all in the folder test of the buildpack)',
      collect,
    )
    .option('--builder <builder>', 'the builder: a builder.toml, a directory with one, or a builder image')
    .option(
      '--env <name=value>',
      'a variable for the builds, in addition to those in expect.json (repeatable)',
      collect,
    )
    .addOption(new Option('--network <mode>', 'the network that the builds can reach').choices(['none', 'host']))
    .option('--pre-buildpack <buildpack>', 'a buildpack to add before it (repeatable)', collect)
    .option('--post-buildpack <buildpack>', 'a buildpack to add after it (repeatable)', collect)
    .addHelpText(
      'after',
      examples('bale buildpack test hello', 'bale buildpack test hello --app my-app --network none'),
    )
    .action(async (dir: string, options: TestOptions) => {
      const { testCommand } = await import('./commands/buildpack-test.ts')
      await run(options, async context => testCommand(context, dir, options))
    })
  packageOf(group, run, 'buildpack')
    .description('Make a package of a buildpack and the buildpacks that it depends on.')
    .option('--without-node', 'do not include Node for buildpacks that need it; the lifecycle must provide it')
    .addHelpText(
      'after',
      examples(
        'bale buildpack package hello.cnb --path hello --format file',
        'bale buildpack package acme/hello --publish',
      ),
    )
  withUnused(group.command('inspect'), unusedInInspect)
    .argument('<buildpack>', "a directory, a .cnb file, an image, or one of Bale's own: bale/nodejs")
    .description('Show the contents of a buildpack or a package, or the versions that it can install.')
    .option('--versions', 'list the available versions of languages and tools, and their sources')
    .option('-e, --env <name=value>', 'with --versions: a variable for package clients (repeatable)', collect)
    .option('--env-file <file>', 'with --versions: a file of such variables (repeatable)', collect)
    .option('-d, --depth <number>', 'how many levels of composite buildpacks to show (default: all)')
    .addOption(outputOption())
    .option('-v, --verbose', 'print details of a failure')
    .addHelpText('after', examples('bale buildpack inspect hello.cnb', 'bale buildpack inspect bale/python --versions'))
    .action(async (uri: string, options: GlobalOptions) => {
      await run(options, async context => (await buildpacks()).inspectCommand(context, uri, options))
    })
  addPull(group, run, 'bale buildpack pull registry.example.com/hello')
}

/** `package`, which is the same for both kinds but for the help. */
const packageOf = (group: Command, run: Run, kind: ModuleKind): Command =>
  withUnused(label(target(withOutput(group.command('package')))), unusedInPackages)
    .argument('<name>', 'the name of the image, as for build, or of the file')
    .option('-c, --config <file>', 'a package.toml (default: the one in the directory, if there is one)')
    .option('-p, --path <dir>', `the ${kind}'s directory (default: the working directory)`)
    .addOption(new Option('-f, --format <format>', 'what to make').choices(['image', 'file']).default('image'))
    .option('--tag <image>', 'another name, at any destination (repeatable, or with commas)', collectList)
    .option('--publish', 'push to the registry in the name')
    .addOption(pullPolicy())
    .action(async (name: string, options: GlobalOptions) => {
      await run(options, async context => (await buildpacks()).packageCommand(context, kind, name, options))
    })

function addPull(group: Command, run: Run, example: string): void {
  withUnused(withOutput(group.command('pull')), unusedInPackages)
    .argument('<image>', 'a package in a registry')
    .description('Pull a package into the local store.')
    .addHelpText('after', examples(example))
    .action(async (image: string, options: GlobalOptions) => {
      await run(options, async context => (await buildpacks()).pullCommand(context, image, options))
    })
}

/** `bale extension …` */
export function addExtension(program: Command, run: Run): void {
  const group = program
    .command('extension')
    .description('Image extensions for builders: make, package and inspect them.')
    .addHelpText(
      'after',
      examples('bale extension new acme/packages', 'bale extension package packages.cnb --path packages --format file'),
    )
  group
    .command('new')
    .argument('<id>', 'such as acme/packages')
    .description('Make a directory for a new image extension.')
    .option('-a, --api <version>', 'the Buildpack API', '0.10')
    .option('-p, --path <dir>', 'the directory to make (default: named after the id)')
    .option('-V, --version <version>', 'the version of the extension', '1.0.0')
    .addHelpText('after', examples('bale extension new acme/packages --path packages'))
    .action(async (id: string, options: GlobalOptions) => {
      await run(options, async context => (await extensions()).newCommand(context, id, options))
    })
  packageOf(group, run, 'extension')
    .description('Make a package of an image extension.')
    .addHelpText('after', examples('bale extension package acme/packages --path packages --publish'))
  group
    .command('inspect')
    .argument('<extension>', 'a directory, a .cnb file or an image')
    .description('Show the metadata of an image extension.')
    .addOption(outputOption())
    .option('-v, --verbose', 'print details of a failure')
    .addHelpText('after', examples('bale extension inspect packages.cnb'))
    .action(async (uri: string, options: GlobalOptions) => {
      await run(options, async context => (await extensions()).inspectCommand(context, uri, options))
    })
  addPull(group, run, 'bale extension pull registry.example.com/packages')
}
