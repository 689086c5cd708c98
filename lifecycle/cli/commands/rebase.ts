import { rebase } from '../../platform/rebase-app.ts'
import type { CommandContext, GlobalOptions } from '../context.ts'

export async function rebaseCommand(context: CommandContext, image: string, options: GlobalOptions): Promise<void> {
  await rebase({
    image,
    settings: context.settings,
    reporter: context.reporter,
    signal: context.signal,
    publish: options.publish === true,
    force: options.force === true,
    tags: options.tag,
    runImage: options.runImage,
  })
}
