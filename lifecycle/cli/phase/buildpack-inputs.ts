import { join } from 'node:path'
import { BuildpacksDir } from '../../phases/buildpacks-dir.ts'
import { readPlatformEnvDir } from '../../phases/env-dir.ts'
import { readTrusted, readUntrusted } from '../../files/read.ts'
import { parseAnalyzed } from '../../spec/analyzed.ts'
import { inheritedEnv } from '../../spec/env.ts'
import { defaultExecEnv, execEnvOf } from '../../spec/exec-env.ts'
import { parseOsRelease } from '../../spec/target.ts'
import type { Target } from '../../spec/types.ts'
import type { PhaseContext } from './binary.ts'

/** What the two binaries that run buildpacks read alike. */
export async function readBuildpackInputs({ inputs, env, features, log }: PhaseContext) {
  const platformDir = inputs.path('platform')
  const operator = features.buildConfig ? await readPlatformEnvDir(join(inputs.path('build-config'), 'env')) : []
  return {
    layersDir: inputs.path('layers'),
    appDir: inputs.path('app'),
    platformDir,
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
 * The run image's, as analyze found it; this machine's where it has not said (Platform API < 0.12), or where it did not run.
 * Of an image without labels the distribution is taken to be the one that it is built in, as other lifecycles do.
 */
async function readTarget(path: string): Promise<Target> {
  const content = await readUntrusted(path)
  const found = content === undefined ? undefined : parseAnalyzed(content, path).runImage?.target
  const target = found ?? { os: 'linux', arch: process.arch === 'x64' ? 'amd64' : process.arch }
  if (target.distro !== undefined) return target
  const text = await readTrusted('/etc/os-release')
  const distro = text === undefined ? undefined : parseOsRelease(new TextDecoder().decode(text))
  return { ...target, ...(distro && { distro }) }
}
