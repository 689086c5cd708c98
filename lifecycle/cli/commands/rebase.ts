import { rebase } from '../../rebase.ts'
import type { Context, GlobalOptions } from '../context.ts'

export async function rebaseCommand(context: Context, image: string, options: GlobalOptions): Promise<void> {
  await rebase({
    image,
    settings: context.settings,
    reporter: context.reporter,
    signal: context.signal,
    publish: options.publish === true,
    force: options.force === true,
    ...(options.tag !== undefined && { tags: options.tag }),
    ...(options.runImage !== undefined && { runImage: options.runImage }),
  })
}
