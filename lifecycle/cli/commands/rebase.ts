import { checkRebase, rebase } from '../../platform/rebase-app.ts'
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
  for (const { platform, state, runImage, from, to } of await checkRebase(input)) {
    const name = printable(shortName(runImage))
    const says =
      state === 'current' ? `is on the newest ${name}` : `can be rebased: ${name} is ${to}, and the image is on ${from}`
    context.print(`${platform} ${says}`)
  }
}
