import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { offersEntry } from '../../lifecycle/spec/offers.ts'
import { formatToml } from '../../lifecycle/spec/toml.ts'
import type { BuildContext, Buildpack, Context } from './buildpack.ts'
import { withTempDir } from './files.ts'
import { provideLayer } from './layer.ts'
import { buildPlan, planDocument } from './plan.ts'
import { Seals } from './seal.ts'

/** Writes the buildpack's offers into the build plan. Nothing is kept: clients are unpacked into a directory that is removed afterwards. */
export async function writeOffers(buildpack: Buildpack, context: Context, planPath: string): Promise<void> {
  const offers = await withTempDir(async dir => {
    await mkdir(join(dir, 'layers'))
    const { buildpack: about, log } = context
    const room = { dir: join(dir, 'layers'), buildpack: about, program: undefined, sbom: [], log, seals: new Seals() }
    const listing: BuildContext = {
      ...context,
      plan: [],
      store: {},
      layer: (name, definition) => provideLayer(room, name, definition),
      seal: () => {},
      ownCommand: () => Promise.resolve(undefined),
    }
    return (await buildpack.offers?.(listing)) ?? []
  })
  const plan = buildPlan().provides(offersEntry).requires(offersEntry, { offers })
  await writeFile(planPath, formatToml(planDocument(plan.sections)))
}
