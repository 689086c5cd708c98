import { join } from 'node:path'
import { BuildpacksDir } from '../../phases/buildpacks-dir.ts'
import { readPlatformEnvDir } from '../../phases/env-dir.ts'
import { readTrusted, readUntrusted } from '../../files/read.ts'
import { parseAnalyzed } from '../../spec/analyzed.ts'
import { inheritedEnv } from '../../spec/env.ts'
import { defaultExecEnv, execEnvOf } from '../../spec/exec-env.ts'
import { ownArchitecture, parseOsRelease } from '../../spec/target.ts'
import type { Target } from '../../spec/types.ts'
import type { PhaseContext } from './context.ts'

/** Reads the inputs that detector and builder share. */
export async function readBuildpackInputs({ inputs, env, features, log }: PhaseContext) {
  const platformDir = inputs.path('platform')
  const operator = features.buildConfig ? await readPlatformEnvDir(join(inputs.path('build-config'), 'env')) : []
  return {
    layersDir: inputs.path('layers'),
    appDir: inputs.path('app'),
    platformDir,
    keptEnvironment: env['BALE_KEPT_ENVIRONMENT'],
    buildpacks: new BuildpacksDir(inputs.path('buildpacks')),
    target: await readTarget(inputs.path('analyzed')),
    execEnv: features.execEnv ? execEnvOf(env['CNB_EXEC_ENV']) : defaultExecEnv,
    env: {
      inherited: inheritedEnv(env),
      user: await readPlatformEnvDir(join(platformDir, 'env')),
      operator,
    },
    reporter: log,
  }
}

/**
 * Returns the target of the run image, as analyze found it. Returns this machine's if analyze did not run or did not report
 * it (Platform API < 0.12). For an image without labels, the distribution of the build environment is assumed, as in other
 * lifecycles.
 */
async function readTarget(path: string): Promise<Target> {
  const content = await readUntrusted(path)
  const found = content === undefined ? undefined : parseAnalyzed(content, path).runImage?.target
  const target = found ?? { os: 'linux', arch: ownArchitecture() }
  if (target.distro !== undefined) return target
  const text = await readTrusted('/etc/os-release')
  const distro = text === undefined ? undefined : parseOsRelease(new TextDecoder().decode(text))
  return { ...target, distro }
}
