import { build } from '../../phases/build.ts'
import { readUntrusted } from '../../files/read.ts'
import { parseResolvedPlan } from '../../spec/plan.ts'
import type { PhaseContext, PhaseCommand } from './binary.ts'
import { readBuildpackInputs } from './buildpack-inputs.ts'
import { readRequired } from './files.ts'
import { readGroup } from './group.ts'

/** platform.md, "builder". */
export async function prepare(context: PhaseContext): Promise<PhaseCommand> {
  const { inputs, features, signal, io } = context
  const planPath = inputs.path('plan')
  const { buildpacks: group, extensions } = await readGroup(context)
  const plan = parseResolvedPlan(await readRequired(readUntrusted, planPath), planPath)
  const common = await readBuildpackInputs(context)
  return {
    images: undefined,
    async run() {
      await build({ ...common, group, extensions, plan, features, supervisor: io.supervisor }, signal)
    },
  }
}
