import { type EnvFile, type LayerEnv, buildpackEnv } from '../spec/env.ts'
import { targetEnv } from '../spec/target.ts'
import type { Target } from '../spec/types.ts'
import type { Buildpack } from './buildpacks-dir.ts'

/** The sources of every buildpack's environment (buildpack.md, "Environment"). */
export interface EnvSources {
  /** Already reduced to the allow-list. */
  readonly inherited: Readonly<Record<string, string>>
  /** `<platform>/env` */
  readonly user: readonly EnvFile[]
  /** `<build-config>/env` */
  readonly operator: readonly EnvFile[]
}

interface PhaseSources {
  readonly env: EnvSources
  readonly target: Target
  readonly execEnv: string
}

/**
 * The environment of a program of a buildpack or an image extension, with the inputs that its API knows.
 * @param inputs the inputs that only this phase has
 * @param layers the layers of the preceding buildpacks
 * @throws BaleError as `buildpackEnv`
 */
export function environmentOf(
  { descriptor, features, dir, kind }: Buildpack,
  { env, target, execEnv }: PhaseSources,
  inputs: Readonly<Record<string, string>>,
  layers: readonly LayerEnv[] = [],
): Record<string, string> {
  return buildpackEnv({
    ...env,
    layers,
    clearEnv: descriptor.clearEnv,
    provided: {
      [kind === 'buildpack' ? 'CNB_BUILDPACK_DIR' : 'CNB_EXTENSION_DIR']: dir,
      ...inputs,
      ...(features.targets && targetEnv(target)),
      ...(features.execEnv && { CNB_EXEC_ENV: execEnv }),
    },
  })
}
