import { checkRebase, rebase } from '../../platform/rebase-app.ts'
import type { PackageChange } from '../../platform/debian-packages.ts'
import type { CommandContext, GlobalOptions } from '../context.ts'
import type { FleetImage } from '../../platform/kubernetes/rebase.ts'
import type { PullPolicy } from '../../stores/pull-policy.ts'
import { BaleError } from '../../errors.ts'
import { readUserConfig } from '../config-file.ts'
import { withInsecure } from '../insecure-registries.ts'
import { printable, shortName } from '../text.ts'
import { checkOutputDir, writeReport } from './result-files.ts'

export async function rebaseCommand(context: CommandContext, image: string, options: GlobalOptions): Promise<void> {
  const input = {
    image,
    settings: withInsecure(context.settings, options.insecureRegistry),
    reporter: context.reporter,
    signal: context.signal,
    publish: options.publish === true,
    force: options.force === true,
    tags: options.tag,
    runImage: options.runImage,
    previousImage: options.previousImage,
    pullPolicy: await pullPolicyOf(context, options),
  }
  if (options.check !== true) {
    await checkOutputDir(options.reportOutputDir)
    return writeReport(options.reportOutputDir, (await rebase(input)).report)
  }
  for (const { platform, state, runImage, from, to, packages } of await checkRebase(input)) {
    const name = printable(shortName(runImage))
    const says =
      state === 'current' ? `is on the newest ${name}` : `can be rebased: ${name} is ${to}, and the image is on ${from}`
    context.print(`${platform} ${says}`)
    if (state === 'newer') context.print(describePackages(packages))
  }
}

/** Rebases every image that workloads of a cluster run. Reports each failure at once, and all of them at the end. */
export async function rebaseFleetCommand(context: CommandContext, on: string, options: GlobalOptions): Promise<void> {
  const { rebaseOnCluster } = await import('../../platform/kubernetes/rebase.ts')
  const { reporter, signal } = context
  const settings = withInsecure(context.settings, options.insecureRegistry)
  const { selector, runImage, force, check = false } = options
  const pullPolicy = await pullPolicyOf(context, options)
  const fleet = await rebaseOnCluster({ on, selector, runImage, pullPolicy, force, check, settings, reporter, signal })
  for (const image of fleet.images) context.print(describeImage(image))
  const of = (state: FleetImage['state']) => fleet.images.filter(image => image.state === state)
  const failed = of('failed')
  const place = `the namespace ${fleet.namespace}`
  if (fleet.images.length === 0)
    return context.print(`No workload of ${place} has an image${selector === undefined ? '' : ' and these labels'}.`)
  const rebased = of('rebased').flatMap(({ workloads }) => workloads)
  if (rebased.length > 0) {
    const restartable = [...new Set(rebased)].filter(name => !name.startsWith('cronjob/'))
    const where = `--context ${fleet.context} --namespace ${fleet.namespace}`
    if (restartable.length > 0)
      context.print(`Pods take it when they start: kubectl ${where} rollout restart ${restartable.join(' ')}`)
  }
  if (failed.length === 0) return
  throw new BaleError('failed', `${failed.length} of ${fleet.images.length} images could not be rebased`, {
    where: place,
    fix: 'see the reasons above; the other images are rebased',
  })
}

async function pullPolicyOf({ env }: CommandContext, { pullPolicy }: GlobalOptions): Promise<PullPolicy | undefined> {
  return pullPolicy ?? (await readUserConfig(env)).pullPolicy
}

function describeImage(image: FleetImage): string {
  const what = printable(`${image.image} (${image.workloads.join(', ')})`)
  switch (image.state) {
    case 'current':
      return `${what} is on the newest run image`
    case 'newer':
      return `${what} can be rebased`
    case 'rebased':
      return `${what} is rebased${image.digest === undefined ? '' : `: ${image.digest}`}`
    case 'skipped':
      return `${what} is not rebased: ${image.reason}`
    case 'failed':
      return printable(
        `${what} could not be rebased: ${image.error.where === undefined ? '' : `${image.error.where}: `}${image.error.message}`,
      )
  }
}

function describePackages(packages: readonly PackageChange[] | undefined): string {
  if (packages === undefined) return '  the changed packages are unknown: the run images have no dpkg records'
  if (packages.length === 0) return '  no package changes'
  return packages
    .map(({ name, from, to }) => {
      if (from === undefined) return `  ${name} ${to} is new`
      return to === undefined ? `  ${name} ${from} is removed` : `  ${name} ${from} becomes ${to}`
    })
    .map(printable)
    .join('\n')
}
