import { type Image, sizeOf } from '../../image/image.ts'
import { formatReport } from '../../spec/report.ts'
import { copyToAll } from '../../stores/copy.ts'
import type { Destination } from '../../stores/open.ts'
import type { Published } from '../../stores/store.ts'
import type { PhaseContext } from './context.ts'
import { writeOutput } from './files.ts'
import type { Images } from './images.ts'

/** Publishes an image under its other names, and writes report.toml (platform.md, "report.toml"). */
export async function reportPublished(
  { inputs, log, signal }: PhaseContext,
  _images: Images,
  { image, published }: { readonly image: Image; readonly published: Published },
  { others, names }: { readonly others: readonly Destination[]; readonly names: readonly string[] },
): Promise<void> {
  const { digest, imageId, manifestSize } = published
  const more = await copyToAll(image, others, signal)
  if (more.length > 0) log.event({ type: 'saved', names: more, digest, imageId, size: sizeOf(image) })
  const tags = names // as given, since platforms look for these names
  const report = digest === undefined ? { tags, imageId } : { tags, digest, manifestSize }
  await writeOutput(inputs.path('report'), formatReport(report))
}
