import { rename, stat, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { BaleError } from '../../errors.ts'
import { makeDirectories } from '../../files/directories.ts'
import { wrapErrno } from '../../files/wrap-errno.ts'
import { sbomsIn } from '../../platform/sbom-files.ts'
import { formatReport } from '../../spec/report.ts'
import { parseImageReference } from '../../stores/transports.ts'
import type { Report } from '../../spec/types.ts'
import type { GlobalOptions } from '../context.ts'

type ResultFiles = Pick<GlobalOptions, 'digestFile' | 'imageNameWithDigestFile' | 'imageNameTagWithDigestFile'>

const filesOf = (options: ResultFiles): string[] =>
  [options.digestFile, options.imageNameWithDigestFile, options.imageNameTagWithDigestFile].filter(
    file => file !== undefined,
  )

const reportFileIn = (dir: string): string => join(dir, 'report.toml')

/** Creates a directory for results, so that a wrong path is an error before the image changes. */
export async function checkOutputDir(dir: string | undefined): Promise<void> {
  if (dir !== undefined) await makeDirectories(resolve(dir))
}

export async function writeReport(dir: string | undefined, report: Report): Promise<void> {
  if (dir === undefined) return
  const file = reportFileIn(resolve(dir))
  await wrapErrno(file, async () => {
    await writeFile(`${file}.tmp`, formatReport(report))
    await rename(`${file}.tmp`, file)
  })
}

/** The files that `bale build` writes beside the image. Such a file is not a part of the application, even inside the source. */
export function outputFiles(options: ResultFiles & Pick<GlobalOptions, 'reportOutputDir' | 'sbomOutputDir'>): string[] {
  const { reportOutputDir: report, sbomOutputDir: sboms } = options
  const files = [report === undefined ? [] : reportFileIn(report), sboms === undefined ? [] : sbomsIn(sboms)]
  return [...filesOf(options), ...files.flat()]
}

/**
 * Creates the directories of the result files, so that a wrong path is an error before the build.
 * @throws BaleError 'usage' for a destination that knows no digests
 */
export async function checkResultFiles(options: ResultFiles, image: string): Promise<void> {
  if (filesOf(options).length > 0 && !parseImageReference(image).transport.keepsManifests) throw noDigest('usage')
  for (const file of filesOf(options)) await makeDirectories(dirname(resolve(file)))
}

/**
 * Writes the result files that later steps of a job read.
 * @throws BaleError 'arguments' for an image without a digest, as in a Docker daemon
 */
export async function writeResultFiles(
  options: ResultFiles,
  names: readonly string[],
  { digest }: Report,
): Promise<void> {
  if (filesOf(options).length === 0) return
  if (digest === undefined) throw noDigest('arguments')
  const lines = (nameOf: (name: string) => string) =>
    [...new Set(names.filter(name => name !== '').map(name => nameOf(withoutDigest(name))))]
      .map(name => `${name}@${digest}\n`)
      .join('')
  const write = async (named: string | undefined, text: string) => {
    if (named === undefined) return
    // Resolved as in the check: `sub/../file` needs no `sub`.
    const file = resolve(named)
    await wrapErrno(file, async () => {
      // An existing file may be a mount point, such as Kubernetes' /dev/termination-log, and cannot be replaced.
      if ((await stat(file).catch(() => undefined)) !== undefined) return writeFile(file, text)
      await writeFile(`${file}.tmp`, text)
      await rename(`${file}.tmp`, file)
    })
  }
  await write(options.digestFile, digest)
  await write(options.imageNameWithDigestFile, lines(withoutTag))
  await write(
    options.imageNameTagWithDigestFile,
    lines(name => name),
  )
}

const noDigest = (code: 'usage' | 'arguments'): BaleError =>
  new BaleError(code, 'the image has no digest at this destination', {
    where: '--digest-file',
    fix: 'send it to a registry, to oci:DIR or to oci-archive:FILE',
  })

/** A name has a digest if the registry gave the tag to another image. */
const withoutDigest = (name: string): string => name.replace(/@.*$/, '')

/** `localhost:5000/app:1` is `localhost:5000/app`. */
const withoutTag = (name: string): string => name.replace(/:[^:/]+$/, '')
