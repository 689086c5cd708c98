import { join } from 'node:path'
import type { Reporter } from '../events.ts'
import { readTrusted } from '../files/read.ts'
import type { BuildSecret } from '../phases/secrets.ts'
import type { GroupElement } from '../spec/types.ts'
import type { BuildEnvironment } from './build-environment.ts'

/** The common prefixes of buildpack settings, from several vendors. */
const prefixed = /^(?:BP|BPE|GOOGLE|RAILPACK)_/

/** Settings of other builders that Bale does not read, and their equivalents. */
const waysOut = new Map(
  Object.entries({
    RAILPACK_PACKAGES:
      'its packages are those of mise, which no build runs: give the setting of the language (RAILPACK_NODE_VERSION, BP_CPYTHON_VERSION), and other programs as packages of Debian, with RAILPACK_BUILD_APT_PACKAGES for the build and RAILPACK_DEPLOY_APT_PACKAGES for the image',
    RAILPACK_DISABLE_CACHES: 'bale build --clear-cache builds without what earlier builds left',
    RAILPACK_SKIP_MIGRATIONS:
      'leave it out: no image changes a database by itself; bale run IMAGE --process migrate does',
    GOOGLE_CUSTOM_NGINX_CONFIG:
      "it names a whole nginx.conf with the paths of Google's image: put what is yours of it into .nginx.conf.d/NAME-server.conf or NAME-http.conf",
    GOOGLE_USE_NATIVE_IMAGE:
      'no native images are made: BP_JVM_CDS_ENABLED=true halves the CPU time of a start on the JVM',
    BP_NATIVE_IMAGE: 'no native images are made: BP_JVM_CDS_ENABLED=true halves the CPU time of a start on the JVM',
    BP_NGINX_VERSION: 'leave it out: nginx is the one that Debian has and mends',
    BP_HTTPD_VERSION:
      'leave it out: Apache is the one that Debian has and mends, and nginx serves static sites in its place',
    'dependency-mapping':
      'leave it out: its digests are those of archives that other builders download; mirrors are named by BP_DEPENDENCY_MIRROR or a binding of the type dependency-mirror, and by the clients of the registries (docs/mirrors.md)',
  }),
)

/**
 * Warns about settings and bindings of the user that no buildpack in this build reads: misspelt, or for another builder. Each of
 * Bale's buildpacks lists the names that it reads in settings.json (scripts/bundle.mjs). If a buildpack in the group has no list,
 * there is no warning.
 */
export async function sayUnreadSettings(
  env: Readonly<Record<string, string>>,
  group: readonly GroupElement[],
  { buildpacks }: Pick<BuildEnvironment, 'buildpacks'>,
  reporter: Reporter,
  secrets: readonly Pick<BuildSecret, 'id' | 'type'>[] = [],
): Promise<void> {
  const settings = Object.keys(env).filter(name => prefixed.test(name))
  // A secret without an explicit type may be for a script of the application.
  const bindings = secrets.filter(({ id, type }) => type !== id)
  if (settings.length + bindings.length === 0) return
  const known = new Set<string>()
  for (const { id, version } of group) {
    const found = buildpacks.find(b => b.descriptor.id === id && b.descriptor.version === version)
    const names = found?.dir === undefined ? undefined : await readNames(join(found.dir, 'settings.json'))
    if (names === undefined) return
    for (const name of names) known.add(name)
  }
  for (const { id, type } of bindings) {
    if (known.has(`binding:${type.toLowerCase()}`)) continue
    reporter.event({
      type: 'warning',
      text: `the secret ${id} is a binding of the type ${type}, and no buildpack of this build reads it`,
      fix: waysOut.get(type.toLowerCase()) ?? 'correct the type: the README of each buildpack has those that it reads',
    })
  }
  const beginnings = [...known].filter(name => name.endsWith('_'))
  const isRead = (name: string) => known.has(name) || beginnings.some(beginning => name.startsWith(beginning))
  const allUnread = settings.filter(name => !isRead(name)).toSorted()
  for (const name of allUnread.filter(name => waysOut.has(name))) {
    reporter.event({ type: 'warning', text: `${name}: set, and not read`, fix: waysOut.get(name) ?? '' })
  }
  const unread = allUnread.filter(name => !waysOut.has(name))
  if (unread.length === 0) return
  reporter.event({
    type: 'warning',
    text: `${unread.join(', ')}: set, and no buildpack of this build reads ${unread.length > 1 ? 'them' : 'it'}`,
    fix: 'correct the name, or leave it out: the README of each buildpack has the settings that it reads',
  })
}

async function readNames(file: string): Promise<readonly string[] | undefined> {
  const content = await readTrusted(file)
  if (content === undefined) return undefined
  const names: unknown = JSON.parse(new TextDecoder().decode(content))
  return Array.isArray(names) ? names.filter(name => typeof name === 'string') : undefined
}
