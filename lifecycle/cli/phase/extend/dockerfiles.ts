import { cp } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { readUntrusted } from '../../../files/read.ts'
import { contextOf, placesOf } from '../../../phases/generated-dir.ts'
import { checkBuildDockerfile, readRunDockerfile } from '../../../spec/dockerfile.ts'
import { type BuildArg, type ExtendKind, parseExtendConfig } from '../../../spec/extend-config.ts'
import type { GroupElement } from '../../../spec/types.ts'
import type { PhaseContext } from '../context.ts'

/** A Dockerfile that an image extension generated. */
export interface ExtensionDockerfile {
  /** `a/tool@1.0.0`. */
  readonly extension: string
  readonly text: string
  /** For messages. */
  readonly where: string
  readonly args: readonly BuildArg[]
  /** The directory that COPY reads: one that only root can change, or the application. */
  readonly context: string
}

/**
 * Reads all Dockerfiles before any of them runs: `<generated>` belongs to the buildpacks' user, which a USER instruction may
 * become.
 * @param own a directory of root, for copies of the contexts
 */
export async function readDockerfiles(
  { inputs, features }: PhaseContext,
  kind: ExtendKind,
  extensions: readonly GroupElement[],
  own: string,
): Promise<ExtensionDockerfile[]> {
  const files: ExtensionDockerfile[] = []
  const generated = inputs.path('generated')
  for (const [index, { id, version }] of extensions.entries()) {
    const path = placesOf(generated, id, features.extensionContexts)[kind]
    const content = await readUntrusted(path, generated)
    if (content === undefined) continue
    const extension = `${id}@${version}`
    const where = `${kind}.Dockerfile of ${extension}`
    const text = new TextDecoder().decode(content)
    if (kind === 'build') checkBuildDockerfile(text, where)
    else readRunDockerfile(text, where)
    const configPath = join(dirname(path), 'extend-config.toml')
    const { [kind]: args } = parseExtendConfig((await readUntrusted(configPath, generated)) ?? '', configPath)
    const from = await contextOf(dirname(path), kind)
    const context = from === undefined ? inputs.path('app') : join(own, String(index))
    if (from !== undefined) await cp(from, context, { recursive: true, verbatimSymlinks: true })
    files.push({ extension, text, where, args, context })
  }
  return files
}
