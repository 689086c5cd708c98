import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BaleError } from '../../errors.ts'
import { readUntrusted } from '../../files/read.ts'
import { parseAnalyzed } from '../../spec/analyzed.ts'
import type { ExtendKind } from '../../spec/extend-config.ts'
import type { PhaseCommand } from './binary.ts'
import { containerRunner } from './container-runner.ts'
import type { PhaseContext } from './context.ts'
import { type BaseImage, readBaseImage } from './extend/base-image.ts'
import { extendBuildImage } from './extend/build-image.ts'
import { type ExtensionDockerfile, readDockerfiles } from './extend/dockerfiles.ts'
import { extendImage } from './extend/extend-image.ts'
import { readRequired } from './files.ts'
import { readGroup } from './group.ts'

/**
 * platform.md, "extender". With kind `build`: applies the build.Dockerfiles to this container, as root, and runs the build phase as
 * the buildpacks' user. With kind `run`: applies the run.Dockerfiles, and writes the resulting run image for exporter. With -only-image,
 * which `bale build` uses, the kind `build` writes an image likewise, and runs no build.
 */
export async function prepare(context: PhaseContext): Promise<PhaseCommand> {
  const { inputs, io } = context
  const kind = inputs.text('kind') ?? 'build'
  if (kind !== 'build' && kind !== 'run')
    throw new BaleError('arguments', `-kind must be build or run, not ${kind}`, { where: '-kind' })
  const onlyImage = kind === 'run' || inputs.flag('only-image')
  const { extensions } = await readGroup(context)
  return {
    images: undefined,
    async run() {
      if (io.user.uid !== 0) throw notRoot(`-kind ${kind}`, 'start it as root: Dockerfiles install programs')
      if (!onlyImage && (!inputs.number('uid') || inputs.number('gid') === undefined))
        throw notRoot('-uid', 'give -uid and -gid, or CNB_USER_ID and CNB_GROUP_ID; buildpacks run as that user')
      const own = await mkdtemp(join(tmpdir(), 'bale-extend-'))
      let set = {}
      try {
        const files = await readDockerfiles(context, kind, extensions, own)
        const base = await imageToExtend(context, kind, files)
        if (base !== undefined && onlyImage) await extendImage(context, kind, files, base, own)
        else if (base !== undefined) set = await extendBuildImage(context, files, base)
      } finally {
        await rm(own, { recursive: true, force: true })
      }
      if (onlyImage) return
      const env = { ...context.env, ...set, BALE_EXTENDED: 'build' }
      await containerRunner({ ...context, env }, context.log).run('build', context.signal)
    },
  }
}

const notRoot = (where: string, fix: string): BaleError =>
  new BaleError('failed', 'extender must run as root, and needs the user of the build image', { where, fix })

/** @returns undefined if there is nothing to apply */
async function imageToExtend(
  { inputs, io, log }: PhaseContext,
  kind: ExtendKind,
  files: readonly ExtensionDockerfile[],
): Promise<BaseImage | undefined> {
  const path = inputs.path('analyzed')
  const analyzed = parseAnalyzed(await readRequired(readUntrusted, path), path)
  const found = kind === 'run' ? analyzed.runImage : analyzed.buildImage
  if (files.length === 0) {
    if (kind === 'run' && found?.extend === true)
      throw new BaleError('input', 'an image extension extends the run image, but there is no run.Dockerfile', {
        where: inputs.path('generated'),
        fix: 'give extender the same -generated as detector',
      })
    log.event({ type: 'note', level: 'info', text: `No image extension changes the ${kind} image` })
    return undefined
  }
  return readBaseImage(io.kanikoDir ?? '/kaniko', found?.reference ?? '')
}
