import type { ContainerConfig } from '../../../image/config.ts'
import type { PhaseContext } from '../context.ts'
import { applyAll } from './apply-all.ts'
import type { BaseImage } from './base-image.ts'
import type { ExtensionDockerfile } from './dockerfiles.ts'

/**
 * Applies build.Dockerfiles to this container, which runs the build image.
 * @returns the variables that the Dockerfiles have set or changed
 */
export async function extendBuildImage(
  context: PhaseContext,
  files: readonly ExtensionDockerfile[],
  { reference, image }: BaseImage,
): Promise<Readonly<Record<string, string>>> {
  const base = image.config.config ?? {}
  const before = variablesOf(base)
  const after = variablesOf(await applyAll(context, files, { reference, config: base }))
  const set = Object.entries(after).filter(([name, value]) => before[name] !== value)
  // The platform's own variables take precedence over the image's.
  return Object.fromEntries(set.filter(([name]) => !/^(?:CNB|BALE)_/.test(name)))
}

const variablesOf = ({ Env = [] }: ContainerConfig): Record<string, string> =>
  Object.fromEntries(
    Env.filter(entry => entry.includes('=')).map(entry => {
      const at = entry.indexOf('=')
      return [entry.slice(0, at), entry.slice(at + 1)]
    }),
  )
