import { type Command, Option } from 'commander'
import { BaleError } from '../errors.ts'
import { parsePlace } from '../platform/kubernetes/place.ts'
import { pullPolicies } from '../stores/pull-policy.ts'
import type { GlobalOptions } from './context.ts'
import { collect, collectList, examples, outputOption, type Run, withOutput } from './options.ts'
import { outputFormats } from './output-format.ts'
import { withPackOptions } from './pack-options.ts'

// The commands that make images: `bale build`, `bale plan`, `bale executor` and `bale rebase`.

export function addBuild(program: Command, run: Run): void {
  const command = withBuildOptions(program.command('build'))
    .description('Build an image from source code.')
    .option('--dry-run', 'only show what would be built, as bale plan does')
    .option('--on <cluster>', 'build in a pod, not here: kubernetes[:CONTEXT][/NAMESPACE]; docs/kubernetes.md')
    .option('--on-settings <file>', 'with --on: a YAML file of settings: builder, resources, cache, secrets, …')
    .addOption(
      new Option(
        '-o, --output <format>',
        'with --dry-run: the format of the plan; with --on, yaml: print the Kubernetes manifests of the build and do not apply them',
      ).choices(outputFormats),
    )
    .addHelpText(
      'after',
      examples(
        'bale build hello --path examples/flask',
        'bale build ghcr.io/me/app:1.2 --tag ghcr.io/me/app:latest --publish',
        'bale build ghcr.io/me/app --publish --cache-image ghcr.io/me/app-cache',
        'bale build app --cache-from type=s3,bucket=builds --cache-to type=s3,bucket=builds,ttl=14d',
        'bale build oci:out:latest --network none',
        'bale build docker-daemon:app --env BP_NODE_VERSION=22',
        'bale build ghcr.io/me/app --publish --platform linux/amd64,linux/arm64',
        'bale build registry.example.com/app --publish --on kubernetes:prod/builds --on-settings cluster.yaml',
      ),
    )
  withOutput(command).action(async (image: string | undefined, options: GlobalOptions) => {
    const { buildCommand, buildStatus } = await import('./commands/build.ts')
    const { planCommand } = await import('./commands/plan.ts')
    const { manifestsCommand } = await import('./commands/manifests.ts')
    requireOn(options)
    const prints = (options.output ?? 'human') !== 'human'
    const command = options.dryRun === true ? planCommand : prints ? manifestsCommand : buildCommand
    await run(options, context => command(context, image, options), buildStatus)
  })
}

/** @throws BaleError 'usage' for an option that depends on a missing one */
function requireOn({ on, onSettings, dryRun, platform, output = 'human' }: GlobalOptions): void {
  if (output !== 'human' && dryRun !== true && !(on !== undefined && output === 'yaml'))
    refuse(
      'a build has no output in this format',
      `--output ${output}`,
      on === undefined
        ? 'add --dry-run for a plan, or --on with --output yaml for manifests; --report-output-dir and --digest-file have the result of a build'
        : 'write --output yaml for manifests',
    )
  if (on === undefined && onSettings !== undefined)
    refuse('this option is for builds on a cluster', '--on-settings', 'add --on kubernetes, or leave it out')
  if (on !== undefined && dryRun === true)
    refuse('a plan is made here', '--dry-run', 'leave out --on; --output yaml prints the manifests for a cluster')
  if (on !== undefined && platform !== undefined)
    refuse('a pod builds for the platform of its node', '--platform', 'leave it out; the settings file chooses nodes')
  if (on !== undefined) parsePlace(on)
}

export function addPlan(program: Command, run: Run): void {
  const command = withBuildOptions(program.command('plan'))
    .description(
      'Show what a build would do, without writing an image: buildpacks and why they take part, run image, destination. Takes all options of build.',
    )
    .addOption(outputOption())
    .addHelpText('after', examples('bale plan hello --path examples/flask', 'bale plan --output json'))
  withOutput(command).action(async (image: string | undefined, options: GlobalOptions) => {
    const { planCommand } = await import('./commands/plan.ts')
    const { buildStatus } = await import('./commands/build.ts')
    await run(options, context => planCommand(context, image, options), buildStatus)
  })
}

/** Adds the argument and the options that choose the source, the buildpacks and the target of a build. */
function withBuildOptions(command: Command): Command {
  return withPackOptions(command)
    .argument(
      '[image]',
      'a name in the local store (default: the name in project.toml, or that of the directory); or oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE, docker-daemon:NAME, docker://NAME',
    )
    .option(
      '-p, --path <source>',
      'the source: a directory, or a .tar, .tgz or .zip file; or tar://FILE, zip://FILE, tar://stdin, git://HOST/REPOSITORY#REF',
      '.',
    )
    .option(
      '--platform <platforms>',
      "the image's platform: linux/amd64, linux/arm64, or both separated by a comma, as one index (default: this machine's platform); qemu emulates a platform that is not this machine's",
    )
    .option('--sub-path <dir>', 'use only this directory of the source')
    .option('-B, --builder <builder>', "a builder image, a builder.toml, or a directory with one (default: Bale's own)")
    .addOption(
      new Option('--lifecycle <whose>', 'whose detector and builder run in a builder image: bale’s or the image’s')
        .choices(['bale', 'builder'])
        .default('bale'),
    )
    .option(
      '-b, --buildpack <buildpack>',
      "a buildpack that replaces the builder's order: a directory, a .cnb file, an image, ID[@VERSION] or from=builder (repeatable, or separated by commas)",
      collectList,
    )
    .option('--pre-buildpack <buildpack>', 'a buildpack to add before all others (repeatable)', collect)
    .option('--post-buildpack <buildpack>', 'a buildpack to add after all others (repeatable)', collect)
    .option(
      '--extension <extension>',
      "an image extension that replaces the builder's: a directory, a .cnb file, an image or ID[@VERSION] (repeatable, or separated by commas)",
      collectList,
    )
    .option('-d, --descriptor <file>', 'the project.toml to use (default: the one in the source)')
    .addOption(
      new Option('--pull-policy <policy>', 'when to pull the builder and the run image from their registry').choices(
        pullPolicies,
      ),
    )
    .option(
      '-e, --env <name=value>',
      'a variable for buildpacks; NAME alone takes the value that it has here (repeatable)',
      collect,
    )
    .option('--env-file <file>', 'a file of such variables, one per line', collect)
    .option(
      '-t, --tag <image>',
      'another name for the image, at any destination (repeatable, or separated by commas)',
      collectList,
    )
    .option('--run-image <image>', "the image that the app runs on (default: the stack's run image)")
    .option('--publish', 'push to the registry in the name')
    .option(
      '--docker-host <address>',
      'the address of the Docker daemon, for --docker and docker-daemon:NAME (default: DOCKER_HOST)',
    )
    .option('--docker', 'write the image to the Docker daemon if its name is plain, as docker-daemon:NAME does')
    .option('--uid <number>', "the user that buildpacks run as, and that owns their files (default: the builder's)")
    .option('--gid <number>', "the group of that user (default: the builder's)")
    .option(
      '--insecure-registry <host>',
      'a registry (HOST:PORT) that may use http or an untrusted certificate (repeatable)',
      collect,
    )
    .option('--retry <count>', 'how often to repeat a failed request to a registry (default: 4)')
    .option(
      '--exec-env <name>',
      'the execution environment of the image, such as production or test (default: production)',
    )
    .option('--previous-image <image>', 'the image of the previous build, if it has another name')
    .option(
      '--creation-time <time>',
      "the image's date: now, or seconds since 1970 (default: SOURCE_DATE_EPOCH, or 1980)",
    )
    .option('--volume <host:target[:rw]>', 'a directory of this machine to mount for buildpacks (repeatable)', collect)
    .option('--workspace <dir>', 'the directory of the application in the image (default: /workspace)')
    .option(
      '--interactive',
      'if detect or build fails, open a shell in its sandbox, with the variables of the failed buildpack',
    )
    .option('--sbom-output-dir <dir>', 'write the bills of materials (SBOM) to this directory')
    .option('--clear-cache', 'delete the cache of this image on this machine, and do not read shared caches')
    .option('--cache-image <image>', 'store the build cache as this image in a registry, not on this machine')
    .option(
      '--cache-from <location>',
      'a shared cache to read if this machine has none: type=registry, local, s3, http or redis (repeatable)',
      collect,
    )
    .option(
      '--cache-to <location>',
      'a shared cache to write: …,mode=min|max,ttl=7d; a failure to write is a warning, with …,required an error (repeatable)',
      collect,
    )
    .addOption(
      new Option('--compression <kind>', 'the compression of new layers')
        .choices(['gzip', 'zstd', 'none'])
        .default('gzip'),
    )
    .option(
      '--compression-level <number>',
      '0 to 9 for gzip, 1 to 22 for zstd: higher levels make smaller layers, and take longer (default: 1)',
    )
    .option('-D, --default-process <type>', 'the process that the image starts by default')
    .addOption(
      new Option('--network <mode>', 'the network that buildpacks can reach').choices(['none', 'host']).default('host'),
    )
    .option('--pids <number>', 'how many processes and threads buildpacks may have at one time (default: 4096)')
    .option('--memory <size>', 'how much memory buildpacks may use: 2GB (default: no limit)')
    .option('--disk <size>', 'how much disk space layers and application may take: 10GB (default: no limit)')
    .option('--timeout <duration>', 'how long the build may take: 45s, 30m, 2h (default: 2h)')
    .option('--buildpack-timeout <duration>', 'how long one buildpack may take (default: as long as the build)')
    .option('--report-output-dir <dir>', 'write report.toml to this directory')
    .option('--digest-file <file>', 'write the digest of the image to this file')
    .option('--image-name-with-digest-file <file>', 'write NAME@DIGEST to this file, one line per name')
    .option('--image-name-tag-with-digest-file <file>', 'write NAME:TAG@DIGEST to this file, one line per name')
    .option(
      '--secret <id=…>',
      'a secret that buildpacks read as a binding: id=NAME,src=FILE or id=NAME,env=VARIABLE, with type= and key= (repeatable)',
      collect,
    )
    .option(
      '--ssh <default[=file]>',
      'SSH keys that buildpacks may sign in with, but not read: default for those of your SSH agent, default=FILE[,FILE] for private keys',
    )
    .option('--label <name=value>', 'a label of the image (repeatable)', collect)
    .option('--annotation <name=value>', 'an annotation of the manifest (repeatable)', collect)
    .addOption(
      new Option('--log-format <format>', 'the format of the log: text, or events as lines of JSON').choices([
        'text',
        'json',
      ]),
    )
    .option('--log-timestamps', 'print the time before each line')
}

/** The command takes kaniko's flags, so commander does not parse them. */
export function addExecutor(program: Command, run: Run): void {
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

/** Adds the command that the first container of a build on a cluster runs. */
export function addSource(program: Command, run: Run): void {
  const command = program
    .command('source')
    .argument(
      '<from>',
      'a git repository or an archive, as for build --path; or docker://IMAGE, an image that contains source',
    )
    .argument('<dir>', 'the directory to write, which must be empty or not exist')
    .description(
      'Write source code to a directory as a build uses it, without the files that project.toml and .dockerignore exclude.',
    )
    .option('--sub-path <dir>', 'use only this directory of the source')
    .option('--platform <dir>', "write the build's variables below this directory, as phases read them")
    .option('--delete', 'delete the image that contains the source after reading it')
    .option('--run-image <image>', 'with --run: the run image of the build')
    .option('--run <file>', 'write run.toml to this file; it names that run image for the phases')
    .option(
      '--order <file>',
      'write order.toml to this file: the order of this builder image with the selected buildpacks',
    )
    .option(
      '--buildpack <id>',
      'with --order: a buildpack that replaces the order, ID[@VERSION] or from=builder (repeatable)',
      collect,
    )
    .option('--pre-buildpack <id>', 'with --order: a buildpack to add before every group (repeatable)', collect)
    .option('--post-buildpack <id>', 'with --order: a buildpack to add after every group (repeatable)', collect)
    .addHelpText('after', examples('bale source git+https://git.example.com/app.git#main source'))
  withOutput(command).action(async (from: string, dir: string, options: GlobalOptions) => {
    const { sourceCommand } = await import('./commands/source.ts')
    await run(options, context => sourceCommand(context, from, dir, options))
  })
}

export function addRebase(program: Command, run: Run): void {
  const command = program
    .command('rebase')
    .argument('[image]', 'an image built by buildpacks, named as for build')
    .description('Replace the run image below an app image by its newest version, without a new build.')
    .option(
      '--on <cluster>',
      'rebase every such image that workloads in a namespace run: kubernetes[:CONTEXT][/NAMESPACE]',
    )
    .option('--selector <labels>', 'with --on: only workloads with these labels, in the syntax of kubectl')
    .option('--run-image <image>', 'the new run image (default: the newest version of the one that it was built on)')
    .option('--tag <image>', 'another name for the result, at any destination (repeatable)', collect)
    .option('--check', 'only show whether there is a newer run image, and which packages it changes')
    .option('--previous-image <image>', 'the image to rebase, if the result gets another name')
    .addOption(
      new Option('--pull-policy <policy>', 'when to read the run image from its registry').choices(pullPolicies),
    )
    .option(
      '--insecure-registry <host>',
      'a registry (HOST:PORT) that may use http or an untrusted certificate (repeatable)',
      collect,
    )
    .addOption(new Option('--report-output-dir <dir>', 'write report.toml to this directory').conflicts('check'))
    .option('--force', 'rebase even if labels, platform or distribution do not match')
    .option('--publish', 'read and write the image in its registry, not in the local store')
    .addHelpText(
      'after',
      examples(
        'bale rebase hello',
        'bale rebase registry.example.com/team/app:1.2 --publish',
        'bale rebase hello --run-image registry.example.com/stacks/run:13 --tag hello:rebased',
        'bale rebase --on kubernetes:prod/web --selector team=a --check',
      ),
    )
  withOutput(command).action(async (image: string | undefined, options: GlobalOptions) => {
    const { rebaseCommand, rebaseFleetCommand } = await import('./commands/rebase.ts')
    const on = checkFleet(image, options)
    await run(options, context =>
      on === undefined ? rebaseCommand(context, image ?? '', options) : rebaseFleetCommand(context, on, options),
    )
  })
}

/** Checks that either an image or a cluster is given. @returns the cluster */
function checkFleet(image: string | undefined, options: GlobalOptions): string | undefined {
  const { on, selector, tag = [], previousImage, reportOutputDir } = options
  if (on === undefined && image === undefined)
    refuse('there is nothing to rebase', 'IMAGE', 'name an image, or a cluster: --on kubernetes')
  if (on === undefined && selector !== undefined)
    refuse('labels select workloads of a cluster', '--selector', 'add --on kubernetes, or leave it out')
  if (on === undefined) return undefined
  if (image !== undefined) refuse('with --on, the cluster determines the images', image, 'leave out the image, or --on')
  if (tag.length > 0) refuse('each image keeps its own name', '--tag', 'leave it out')
  if (previousImage !== undefined)
    refuse('with --on, the cluster determines the images', '--previous-image', 'leave it out')
  if (reportOutputDir !== undefined)
    refuse('each image would have a report of its own', '--report-output-dir', 'leave it out')
  parsePlace(on)
  return on
}

function refuse(message: string, where: string, fix: string): never {
  throw new BaleError('usage', message, { where, fix })
}
