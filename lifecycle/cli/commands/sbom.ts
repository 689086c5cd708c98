import { BaleError } from '../../errors.ts'
import { writeSboms } from '../../platform/sbom-files.ts'
import { Stores } from '../../stores/open.ts'
import { asPublished } from '../../stores/transports.ts'
import type { CommandContext, GlobalOptions } from '../context.ts'
import { printable } from '../text.ts'

export async function downloadCommand(context: CommandContext, name: string, options: GlobalOptions): Promise<void> {
  const { settings, reporter, signal } = context
  await using stores = new Stores(settings, reporter)
  const { image } = options.remote === true ? await published(name, context, stores) : await stores.find(name, signal)
  const files = await writeSboms(image, options.outputDir ?? '.', signal)
  if (files.length === 0 && options.sbomOutputDir === undefined)
    throw new BaleError('arguments', `the image ${name} has no bills of materials (SBOM)`, {
      fix: 'name an image whose buildpacks make them, built with Platform API 0.8 or newer',
    })
  for (const file of files) context.print(printable(file))
}

async function published(name: string, { settings, signal }: CommandContext, stores: Stores) {
  const at = await stores.at(asPublished(stores.parse(name), true))
  const image = await at.source.pull(at.name, settings.platform, signal)
  if (image !== undefined) return { image }
  throw new BaleError('arguments', `there is no image ${name} in ${at.source.description}`, { fix: 'correct its name' })
}
