import { BaleError } from '../../errors.ts'
import { readTrusted } from '../../files/read.ts'
import type { RunImageRequest } from '../../phases/analyze.ts'
import { parseRun, parseStack } from '../../spec/run.ts'
import type { RunDocument } from '../../spec/types.ts'
import type { PhaseContext } from './context.ts'

/** Reads run.toml, or its predecessor stack.toml. Returns an empty value if neither exists. */
export async function readRunDocument({ inputs, features }: PhaseContext): Promise<RunDocument> {
  const path = inputs.path(features.runToml ? 'run' : 'stack')
  const content = await readTrusted(path)
  if (content === undefined) return { images: [] }
  return (features.runToml ? parseRun : parseStack)(content, path)
}

/**
 * Returns the requested run image: -run-image, or the first entry of run.toml (platform.md, "Run Image Resolution").
 * @throws BaleError 'arguments' if neither names one
 */
export async function runImageRequest(context: PhaseContext, open: RunImageRequest['open']): Promise<RunImageRequest> {
  const { inputs, features } = context
  const name = inputs.text('run-image')
  if (name !== undefined) return { names: { image: name, mirrors: [] }, open }
  const [names] = (await readRunDocument(context)).images
  if (names !== undefined) return { names, open }
  throw new BaleError('arguments', '-run-image is required when there is no run metadata', {
    where: inputs.path(features.runToml ? 'run' : 'stack'),
    fix: 'give -run-image, or add an image to that file',
  })
}
