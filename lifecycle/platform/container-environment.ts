import { readFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { BaleError } from '../errors.ts'
import { wrapErrno } from '../files/wrap-errno.ts'
import { type ImageConfig, envOf } from '../image/config.ts'
import type { RunImageRequest } from '../phases/analyze.ts'
import { platformApi } from './api.ts'
import type { BuildEnvironment, StackEnvironmentInput } from './build-environment.ts'
import type { Distribution } from './distribution.ts'

/** The lifecycle of a builder image (platform.md, "Builder Image"). */
const lifecycleDir = '/cnb/lifecycle'

/**
 * The environment of a build in a container of Bale's own builder image: the container's files are the build image. Nothing is
 * unpacked, made or downloaded.
 */
export async function containerEnvironment(input: StackEnvironmentInput): Promise<BuildEnvironment> {
  const { builder, distribution, settings } = input
  const config = await readConfig(distribution)
  refuseOthers(config, settings.platform.architecture)
  return {
    rootfs: { layers: ['/'], config },
    hasBuildpacks: false,
    buildpacks: builder.buildpacks,
    extensions: [],
    order: builder.order,
    lifecycle: {
      phases: { from: 'bale', dir: lifecycleDir, runtime: {} },
      platformApi,
      launcher: join(lifecycleDir, 'launcher'),
    },
    user: { uid: Number(envOf(config, 'CNB_USER_ID')), gid: Number(envOf(config, 'CNB_GROUP_ID')) },
    runImages: await requestRunImage(input),
    buildConfig: builder.buildConfig,
  }
}

/** Refuses another architecture, since the container has no emulator. */
function refuseOthers({ architecture }: ImageConfig, wanted: string): void {
  if (architecture === wanted) return
  throw new BaleError('arguments', `a builder image for ${architecture} cannot make an image for ${wanted}`, {
    fix: `start the job in the builder image for ${wanted}`,
  })
}

const record = v.looseObject({ architecture: v.string(), config: v.looseObject({}) })

/** Reads the config of this container's image, which distribution/ has put into it. */
async function readConfig({ container }: Distribution): Promise<ImageConfig> {
  const where = container ?? ''
  const parsed = v.safeParse(record, JSON.parse(await wrapErrno(where, () => readFile(where, 'utf8'))))
  if (parsed.success) return parsed.output as unknown as ImageConfig
  throw new BaleError('failed', 'it is not an image config', { where, fix: 'create the builder image again' })
}

async function requestRunImage(input: StackEnvironmentInput): Promise<RunImageRequest> {
  const { builder, distribution, stores, runImage } = input
  if (runImage !== undefined) {
    const at = await stores.source(runImage)
    return { names: { image: at.name, mirrors: [] }, open: () => Promise.resolve(at) }
  }
  const names = builder.runImage
  if (names === undefined)
    throw new BaleError('input', 'the builder names no run image', {
      where: builder.file,
      fix: 'name one with --run-image, or in [[run.images]] of builder.toml',
    })
  const layout = join(distribution.root, 'run-image')
  const isOwn = builder.file === distribution.builder && existsSync(join(layout, 'index.json'))
  return { names, open: name => stores.source(isOwn ? `oci:${layout}` : name) }
}
