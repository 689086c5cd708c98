import { checkRebase, rebase } from '../../platform/rebase-app.ts'
import type { PackageChange } from '../../platform/debian-packages.ts'
import type { CommandContext, GlobalOptions } from '../context.ts'
import { printable, shortName } from '../text.ts'

export async function rebaseCommand(context: CommandContext, image: string, options: GlobalOptions): Promise<void> {
  const input = {
    image,
    settings: context.settings,
    reporter: context.reporter,
    signal: context.signal,
    publish: options.publish === true,
    force: options.force === true,
    tags: options.tag,
    runImage: options.runImage,
  }
  if (options.check !== true) return void (await rebase(input))
  for (const { platform, state, runImage, from, to, packages } of await checkRebase(input)) {
    const name = printable(shortName(runImage))
    const says =
      state === 'current' ? `is on the newest ${name}` : `can be rebased: ${name} is ${to}, and the image is on ${from}`
    context.print(`${platform} ${says}`)
    if (state === 'newer') context.print(describePackages(packages))
  }
}

function describePackages(packages: readonly PackageChange[] | undefined): string {
  if (packages === undefined) return '  which packages change is unknown: the run images have no records of dpkg'
  if (packages.length === 0) return '  no package changes'
  return packages
    .map(({ name, from, to }) => {
      if (from === undefined) return `  ${name} ${to} is new`
      return to === undefined ? `  ${name} ${from} is gone` : `  ${name} ${from} becomes ${to}`
    })
    .map(printable)
    .join('\n')
}
