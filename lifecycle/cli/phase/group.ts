import { readUntrusted } from '../../files/read.ts'
import { deprecatedBuildpackApis, requireBuildpackApi } from '../../spec/api.ts'
import { parseGroup } from '../../spec/group.ts'
import type { Group } from '../../spec/types.ts'
import type { PhaseContext } from './context.ts'
import { readRequired } from './files.ts'
import { checkDeprecated } from './modes.ts'

/** Reads the detected group. @throws BaleError 'buildpack-api' for a buildpack of an unsupported API */
export async function readGroup({ inputs, env, log }: PhaseContext): Promise<Group> {
  const path = inputs.path('group')
  const group = parseGroup(await readRequired(readUntrusted, path), path)
  for (const { id, api } of [...group.buildpacks, ...group.extensions]) {
    requireBuildpackApi(api, id)
    checkDeprecated(api, 'buildpack-api', deprecatedBuildpackApis, env, log)
  }
  return group
}
