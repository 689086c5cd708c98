import { type Command, Option } from 'commander'
import { BaleError } from '../errors.ts'
import { parsePlace } from '../platform/kubernetes/place.ts'
import { pullPolicies } from '../stores/pull-policy.ts'
import type { GlobalOptions } from './context.ts'
import { collect, collectList, examples, outputOption, type Run, withOutput } from './options.ts'
import { withPackOptions } from './pack-options.ts'

// The commands that make images: `bale build`, `bale plan`, `bale executor` and `bale rebase`.

export function addBuild(program: Command, run: Run): void {
  const command = withBuildOptions(program.command('build'))
    .description('Build an image from source code.')
    .option('--dry-run', 'only say what would be built, as bale plan does')
    .option('--on <cluster>', 'build in a pod, not here: kubernetes[:CONTEXT][/NAMESPACE]; docs/kubernetes.md')
    .option('--on-settings <file>', 'a YAML file of settings for that: builder, resources, cache, secrets, …')
    .addOption(
      new Option('-o, --output <format>', 'with --on: print the manifests of that build, and apply nothing').choices([
        'human',
        'yaml',
      ]),
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
    const isYaml = options.output === 'yaml'
    const command = isYaml ? manifestsCommand : options.dryRun === true ? planCommand : buildCommand
    await run(options, context => command(context, image, options), buildStatus)
  })
}

/** @throws BaleError 'usage' for an option that depends on a missing one */
function requireOn({ on, onSettings, dryRun, platform }: GlobalOptions): void {
  if (on === undefined && onSettings !== undefined)
    refuse('these are settings of a build on a cluster', '--on-settings', 'add --on kubernetes, or leave it out')
  if (on !== undefined && dryRun === true)
    refuse('a plan is made here', '--dry-run', 'leave out --on; --output yaml shows what a cluster would be given')
  if (on !== undefined && platform !== undefined)
    refuse('a pod builds for the machine that it is on', '--platform', 'leave it out; the settings file chooses nodes')
  if (on !== undefined) parsePlace(on)
}

export function addPlan(program: Command, run: Run): void {
  const command = withBuildOptions(program.command('plan'))
    .description(
      'Say what a build would do, and write no image: buildpacks and why they take part, run image, destination. All options are those of build.',
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
      'a name (default: that in project.toml, or of the directory), kept in the local store; or oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE, docker-daemon:NAME, docker://NAME',
    )
    .option(
      '-p, --path <source>',
      'the directory with the source, or a .tar, .tgz or .zip file of it; or tar://FILE, zip://FILE, tar://stdin, git://HOST/REPOSITORY#REF',
      '.',
    )
    .option(
      '--platform <platforms>',
      "what the image is for: linux/amd64, linux/arm64, or both with a comma, as one index (default: this machine's platform); qemu runs the programs of another one",
    )
    .option('--sub-path <dir>', 'a directory of the source, in place of all of it')
    .option('-B, --builder <builder>', "a builder image, a builder.toml, or a directory with one (default: Bale's own)")
    .addOption(
      new Option('--lifecycle <whose>', 'whose detector and builder run in a builder image: Bale’s or its own')
        .choices(['bale', 'builder'])
        .default('bale'),
    )
    .option(
      '-b, --buildpack <buildpack>',
      "in place of the builder's order: a directory, a .cnb file, an image, ID[@VERSION], from=builder (repeatable, or with commas)",
      collectList,
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
      '-e, --env <name=value>',
      'a variable for buildpacks; NAME alone takes its value from here (repeatable)',
      collect,
    )
    .option('--env-file <file>', 'a file of such variables, one a line', collect)
    .option('-t, --tag <image>', 'one more name for the image, anywhere (repeatable, or with commas)', collectList)
    .option('--run-image <image>', "what the app runs on (default: the stack's run image)")
    .option('--publish', 'push to the registry that the name means')
    .option('--docker', 'put a plain name into the Docker daemon, as docker-daemon:NAME')
    .option('--uid <number>', "the user that buildpacks run as and that owns what they make (default: the builder's)")
    .option('--gid <number>', "the group of that user (default: the builder's)")
    .option(
      '--insecure-registry <host>',
      'a registry, with its port, that may use http or an untrusted certificate (repeatable)',
      collect,
    )
    .option('--retry <count>', 'how many more times a request to a registry is tried (default: 4)')
    .option('--exec-env <name>', 'what the image is for, such as production or test (default: production)')
    .option('--previous-image <image>', 'the image of the last build, if it has another name')
    .option(
      '--creation-time <time>',
      "the image's date: now, or seconds since 1970 (default: SOURCE_DATE_EPOCH, or 1980)",
    )
    .option('--volume <host:target[:rw]>', 'a directory of this machine for buildpacks (repeatable)', collect)
    .option('--workspace <dir>', 'where the application is in the image (default: /workspace)')
    .option(
      '--interactive',
      'when detect or build fails: a shell in its sandbox, with the variables of the buildpack that failed',
    )
    .option('--sbom-output-dir <dir>', 'write the bills of materials there')
    .option('--clear-cache', 'delete the cache of this image on this machine and read no shared one')
    .option('--cache-image <image>', 'keep the build cache in this image in a registry, instead of on this machine')
    .option(
      '--cache-from <location>',
      'a cache that machines share, read when this machine has none: type=registry, local, s3, http or redis (repeatable)',
      collect,
    )
    .option(
      '--cache-to <location>',
      'a shared cache to write: …,mode=min|max,ttl=7d; failing to write it is a warning, or with …,required an error (repeatable)',
      collect,
    )
    .addOption(
      new Option('--compression <kind>', 'of the layers that are made')
        .choices(['gzip', 'zstd', 'none'])
        .default('gzip'),
    )
    .option('-D, --default-process <type>', 'the process that starts when the image is run')
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
    .argument('<from>', 'a repository of git or an archive, as for build --path; or docker://IMAGE that holds source')
    .argument('<dir>', 'where it goes; nothing may be there')
    .description(
      'Put source code into a directory as a build takes it: without what project.toml and .dockerignore leave out.',
    )
    .option('--sub-path <dir>', 'a directory of the source, in place of all of it')
    .option('--platform <dir>', "write the build's variables below it, as phases read them")
    .option('--delete', 'delete the image that holds the source, once the source is here')
    .option('--run-image <image>', 'with --run: the run image of the build')
    .option('--run <file>', 'write run.toml there, which names that run image for the phases')
    .option('--order <file>', 'write order.toml there: that of this builder image, with the buildpacks that are chosen')
    .option(
      '--buildpack <id>',
      'with --order: in place of the order, ID[@VERSION] or from=builder (repeatable)',
      collect,
    )
    .option('--pre-buildpack <id>', 'with --order: before every group (repeatable)', collect)
    .option('--post-buildpack <id>', 'with --order: after every group (repeatable)', collect)
    .addHelpText('after', examples('bale source git+https://git.example.com/app.git#main source'))
  withOutput(command).action(async (from: string, dir: string, options: GlobalOptions) => {
    const { sourceCommand } = await import('./commands/source.ts')
    await run(options, context => sourceCommand(context, from, dir, options))
  })
}

export function addRebase(program: Command, run: Run): void {
  const command = program
    .command('rebase')
    .argument('[image]', 'an image that was built by buildpacks, named as for build')
    .description('Replace the run image of an image by its newest version, without building again.')
    .option('--on <cluster>', 'every such image that workloads of a namespace run: kubernetes[:CONTEXT][/NAMESPACE]')
    .option('--selector <labels>', 'with --on: only workloads with these labels, as kubectl takes them')
    .option('--run-image <image>', 'another run image (default: the one that it was built on)')
    .option('--tag <image>', 'one more name for the result, anywhere (repeatable)', collect)
    .option('--check', 'only say whether a newer run image is there, and which packages it would change')
    .option('--force', 'do it though labels, platform or distribution are against it')
    .option('--publish', 'the name means an image in its registry, not in the local store')
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
function checkFleet(image: string | undefined, { on, selector, tag = [] }: GlobalOptions): string | undefined {
  if (on === undefined && image === undefined)
    refuse('what is to be rebased is not said', 'IMAGE', 'name an image, or a cluster: --on kubernetes')
  if (on === undefined && selector !== undefined)
    refuse('labels choose workloads of a cluster', '--selector', 'add --on kubernetes, or leave it out')
  if (on === undefined) return undefined
  if (image !== undefined) refuse('the images are those that the cluster runs', image, 'leave out the image, or --on')
  if (tag.length > 0) refuse('each image keeps its own name', '--tag', 'leave it out')
  parsePlace(on)
  return on
}

function refuse(message: string, where: string, fix: string): never {
  throw new BaleError('usage', message, { where, fix })
}
