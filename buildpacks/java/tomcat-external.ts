import { join } from 'node:path'
import { type BuildContext, BuildpackError, digestOfFile, firstSetting } from '../sdk/index.ts'

/** An archive with the user's own files for Tomcat's directory: `conf/server.xml`, `lib/driver.jar`. */
export interface ExternalConfiguration {
  readonly uri: string
  /** The archive's digest in hexadecimal. A new digest also means a new layer. */
  readonly sha256: string
  /** How many leading directories are removed from its paths. */
  readonly strip: number
}

const uriSetting = 'BP_TOMCAT_EXT_CONF_URI'
const digestSetting = 'BP_TOMCAT_EXT_CONF_SHA256'
const stripSetting = 'BP_TOMCAT_EXT_CONF_STRIP'

/** @throws BuildpackError for an invalid setting, or an archive without its digest: the same build would give a different image */
export function externalConfiguration(env: BuildContext['env']): ExternalConfiguration | undefined {
  const uri = firstSetting(env, uriSetting)?.value
  if (uri === undefined) return undefined
  const refuse = (what: string, where: string, fix: string) => new BuildpackError(what, { where, fix })
  if (!/^(https?|file):\/\//.test(uri))
    throw refuse('is not a URL', uriSetting, 'write https://…, or file:///… of a volume')
  const digest = firstSetting(env, digestSetting)?.value.toLowerCase()
  if (!/^[0-9a-f]{64}$/.test(digest ?? '')) {
    const what =
      digest === undefined ? 'the archive has no digest' : `${JSON.stringify(digest)} is not a SHA-256 digest`
    throw refuse(what, digestSetting, 'write what sha256sum prints for the archive')
  }
  const strip = firstSetting(env, stripSetting)?.value ?? '0'
  if (!/^\d{1,2}$/.test(strip))
    throw refuse(`${JSON.stringify(strip)} is not a number`, stripSetting, 'write 1, or leave it out')
  return { uri, sha256: digest ?? '', strip: Number(strip) }
}

/** Unpacks the archive over Tomcat's directory, and replaces existing files. */
export async function unpackExternal(
  { run }: Pick<BuildContext, 'run'>,
  { uri, sha256, strip }: ExternalConfiguration,
  dir: string,
  temp: string,
): Promise<void> {
  const file = join(temp, 'external-configuration')
  await run(['curl', '--fail', '--silent', '--show-error', '--location', '--output', file, uri], {
    quiet: true,
    name: `downloading ${uriSetting}`,
    fix: 'check the network and the URL',
  })
  const found = (await digestOfFile(file)).replace('sha256:', '')
  if (found !== sha256) {
    throw new BuildpackError(`the archive has changed: its SHA-256 is ${found}`, {
      where: digestSetting,
      fix: `see what changed in the archive of ${uriSetting}, and write its digest`,
    })
  }
  await run(
    ['tar', '-xf', file, `--strip-components=${strip}`, '--no-same-permissions', '--no-same-owner', '-C', dir],
    {
      quiet: true,
      name: `unpacking ${uriSetting}`,
      fix: 'use a tar archive, compressed or not',
    },
  )
}
