import { build } from '../../phases/build.ts'
import { BaleError } from '../../errors.ts'
import { readUntrusted } from '../../files/read.ts'
import { parseAnalyzed } from '../../spec/analyzed.ts'
import { parseResolvedPlan } from '../../spec/plan.ts'
import type { PhaseCommand } from './binary.ts'
import { readBuildpackInputs } from './buildpack-inputs.ts'
import type { PhaseContext } from './context.ts'
import { readRequired } from './files.ts'
import { readGroup } from './group.ts'

/** platform.md, "builder". */
export async function prepare(context: PhaseContext): Promise<PhaseCommand> {
  const { inputs, env, features, signal, io } = context
  const planPath = inputs.path('plan')
  const { buildpacks: group, extensions } = await readGroup(context)
  const plan = parseResolvedPlan(await readRequired(readUntrusted, planPath), planPath)
  const common = await readBuildpackInputs(context)
  // extender has applied the Dockerfiles before it starts this process.
  if (env['BALE_EXTENDED'] !== 'build') await refuseToExtend(inputs.path('analyzed'))
  return {
    images: undefined,
    async run() {
      await build({ ...common, group, extensions, plan, features, supervisor: io.supervisor }, signal)
    },
  }
}

/** Without the extension, the build image lacks what buildpacks require, and no buildpack could notice. */
async function refuseToExtend(path: string): Promise<void> {
  const content = await readUntrusted(path)
  if (content === undefined || parseAnalyzed(content, path).buildImage?.extend !== true) return
  throw new BaleError('input', 'image extensions extend the build image, which builder cannot do', {
    where: `${path} build-image.extend`,
    fix: 'run extender as root instead of builder; it also builds',
  })
}
