import * as v from 'valibot'
import { BaleError } from '../../errors.ts'
import { parseToml } from '../../spec/toml.ts'
import type { Report } from '../../spec/types.ts'

const reportSchema = v.object({
  image: v.object({
    tags: v.array(v.string()),
    digest: v.optional(v.string()),
    'manifest-size': v.optional(v.number()),
  }),
})

/** Parses the report.toml of export. */
export function parseReport(text: string): Report & { readonly digest: string } {
  const wrong = (why: string) =>
    new BaleError('cluster', `export succeeded, but ${why}`, {
      where: 'the termination message of the container export',
      fix: 'look for the image in its registry; use the builder image of this version of Bale',
    })
  let document: unknown
  try {
    document = parseToml(text, 'report.toml')
  } catch {
    throw wrong('its report cannot be read')
  }
  const parsed = v.safeParse(v.union([reportSchema, reportSchema.entries.image]), document)
  if (!parsed.success) throw wrong('its report has no image')
  const { tags, digest, 'manifest-size': manifestSize } = 'image' in parsed.output ? parsed.output.image : parsed.output
  if (digest === undefined) throw wrong('its report has no digest')
  return { tags, digest, ...(manifestSize !== undefined && { manifestSize }) }
}
