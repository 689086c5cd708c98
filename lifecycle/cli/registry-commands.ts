import { type Command, Option } from 'commander'
import type { GlobalOptions } from './context.ts'
import { type Run, collect, examples, withOutput } from './options.ts'

const manifests = async () => import('./commands/manifest.ts')
const logins = async () => import('./commands/login.ts')

/** `bale manifest …`, `sbom …`, `login`, `logout` */
export function addRegistry(program: Command, run: Run): void {
  addManifest(program, run)
  withOutput(program.command('login'))
    .argument('[registry]', 'host and port (default: Docker Hub)')
    .description(
      "Store a registry's password as Docker does: in config.json of DOCKER_CONFIG, or with the credential helper that it names.",
    )
    .requiredOption('-u, --username <name>', 'the user name')
    .option(
      '-p, --password <password>',
      'the password; visible to other users of this machine, so prefer --password-stdin',
    )
    .option('--password-stdin', 'read the password from standard input')
    .addHelpText('after', examples('bale login registry.example.com -u me --password-stdin < token'))
    .action(async (host: string | undefined, options: GlobalOptions) => {
      await run(options, async context => (await logins()).loginCommand(context, host, options))
    })
  withOutput(program.command('logout'))
    .argument('[registry]', 'host and port (default: Docker Hub)')
    .description('Delete the stored password for a registry.')
    .action(async (host: string | undefined, options: GlobalOptions) => {
      await run(options, async context => (await logins()).logoutCommand(context, host))
    })
  const sbom = program.command('sbom').description('Bills of materials (SBOM) of images.')
  withOutput(sbom.command('download'))
    .argument('<image>', 'an image, anywhere')
    .description('Extract the bills of materials that buildpacks stored in an image.')
    .option('-o, --output-dir <dir>', 'the directory in which to write layers/sbom', '.')
    .option('--remote', 'read the image from its registry')
    .addHelpText('after', examples('bale sbom download hello --output-dir out'))
    .action(async (image: string, options: GlobalOptions) => {
      await run(options, async context => (await import('./commands/sbom.ts')).downloadCommand(context, image, options))
    })
}

function addManifest(program: Command, run: Run): void {
  const group = program
    .command('manifest')
    .description('Indexes: one name for the images of several platforms.')
    .addHelpText('after', examples('bale manifest create acme/app acme/app-amd64 acme/app-arm64 --publish'))
  const format = (): Option =>
    new Option('-f, --format <format>', 'the format of the index (default: that of its images)').choices([
      'oci',
      'docker',
    ])
  withOutput(group.command('create'))
    .argument('<index>', 'the name, as for build')
    .argument('<images...>', 'images, or indexes whose images to add')
    .description('Make an index of images.')
    .addOption(format())
    .option('--insecure', 'allow registries with http or an untrusted certificate')
    .option('--publish', 'push to the registry in the name')
    .action(async (index: string, images: string[], options: GlobalOptions) => {
      await run(options, async context => (await manifests()).createCommand(context, index, images, options))
    })
  withOutput(group.command('add'))
    .argument('<index>', 'an index in the local store')
    .argument('<image>', 'an image, or an index whose images to add')
    .description('Add an image to an index.')
    .action(async (index: string, image: string, options: GlobalOptions) => {
      await run(options, async context => (await manifests()).addCommand(context, index, image))
    })
  withOutput(group.command('annotate'))
    .argument('<index>', 'an index in the local store')
    .argument('<image>', 'an image in the index, by digest or name')
    .description('Change the description of an image in an index.')
    .option('--os <name>', 'its operating system')
    .option('--arch <name>', 'its architecture')
    .option('--variant <name>', "its architecture's variant")
    .option('--annotations <name=value>', 'an annotation (repeatable)', collect)
    .action(async (index: string, image: string, options: GlobalOptions) => {
      await run(options, async context => (await manifests()).annotateCommand(context, index, image, options))
    })
  withOutput(group.command('inspect'))
    .argument('<index>', 'an index, anywhere')
    .description('Print the JSON of an index.')
    .action(async (index: string, options: GlobalOptions) => {
      await run(options, async context => (await manifests()).inspectCommand(context, index))
    })
  withOutput(group.command('push'))
    .argument('<index>', 'an index in the local store')
    .description('Push an index and its images to the registry in its name.')
    .addOption(format())
    .option('--insecure', 'allow a registry with http or an untrusted certificate')
    .option('-p, --purge', 'remove the index from the local store afterwards')
    .action(async (index: string, options: GlobalOptions) => {
      await run(options, async context => (await manifests()).pushCommand(context, index, options))
    })
  withOutput(group.command('remove'))
    .argument('<index>', 'an index in the local store')
    .argument('<digests...>', 'digests or names of images in it')
    .description('Remove images from an index.')
    .action(async (index: string, digests: string[], options: GlobalOptions) => {
      await run(options, async context => (await manifests()).removeCommand(context, index, digests))
    })
  withOutput(group.command('rm'))
    .argument('<indexes...>', 'indexes in the local store')
    .description('Remove indexes from the local store.')
    .action(async (names: string[], options: GlobalOptions) => {
      await run(options, async context => (await manifests()).deleteCommand(context, names))
    })
}
