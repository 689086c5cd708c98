import { join } from 'node:path'
import type { Reporter } from '../events.ts'
import { readTrusted } from '../files/read.ts'
import type { BuildSecret } from '../phases/secrets.ts'
import type { GroupElement } from '../spec/types.ts'
import type { BuildEnvironment } from './build-environment.ts'

/** The common prefixes of buildpack settings, from several vendors. */
const prefixed = /^(?:BP|BPE|GOOGLE|RAILPACK)_/

const otherAgents =
  "Bale brings agents of monitoring services for Java only: for another language, add the service's own package to the application (dd-trace, newrelic), and load it as the service documents"

/** Settings of other builders that Bale does not read, and their equivalents. */
const waysOut = new Map(
  Object.entries({
    RAILPACK_PACKAGES:
      'its packages come from mise, which Bale only uses for Java and Ruby: set the version in the setting of the language (RAILPACK_NODE_VERSION, BP_CPYTHON_VERSION), and install other programs as Debian packages, with RAILPACK_BUILD_APT_PACKAGES for the build and RAILPACK_DEPLOY_APT_PACKAGES for the image',
    RAILPACK_DISABLE_CACHES: 'bale build --clear-cache builds without what earlier builds left',
    RAILPACK_SKIP_MIGRATIONS:
      'leave it out: an image does not migrate a database by itself; bale run IMAGE --process migrate does',
    GOOGLE_CUSTOM_NGINX_CONFIG:
      "it names a complete nginx.conf with the paths of Google's image: put your own settings into .nginx.conf.d/NAME-server.conf or NAME-http.conf",
    GOOGLE_USE_NATIVE_IMAGE:
      'Bale does not make native images: BP_JVM_CDS_ENABLED=true halves the CPU time of a start on the JVM',
    BP_NATIVE_IMAGE:
      'Bale does not make native images: BP_JVM_CDS_ENABLED=true halves the CPU time of a start on the JVM',
    BP_DEBUG_ENABLED:
      'leave it out: the debuggers of Java and Node.js are in every image, and BPL_DEBUG_ENABLED=true turns them on at the start',
    BP_JMX_ENABLED: 'leave it out: JMX is in every image with Java, and BPL_JMX_ENABLED=true turns it on at the start',
    BP_DATADOG_ENABLED: otherAgents,
    BP_OPENTELEMETRY_ENABLED: otherAgents,
    newrelic: otherAgents,
    elasticapm: otherAgents,
    applicationinsights: otherAgents,
    BP_NGINX_VERSION: 'leave it out: nginx comes from Debian, which keeps it up to date',
    BP_HTTPD_VERSION:
      'leave it out: Apache comes from Debian, which keeps it up to date, and nginx serves static sites instead',
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
      text: `the secret ${id} is a binding of type ${type}, which no buildpack of this build reads`,
      fix:
        waysOut.get(type.toLowerCase()) ??
        'correct the type: the README of each buildpack lists the types that it reads',
    })
  }
  const beginnings = [...known].filter(name => name.endsWith('_'))
  const isRead = (name: string) => known.has(name) || beginnings.some(beginning => name.startsWith(beginning))
  const allUnread = settings.filter(name => !isRead(name)).toSorted()
  for (const name of allUnread.filter(name => waysOut.has(name))) {
    reporter.event({ type: 'warning', text: `${name} is set but not used`, fix: waysOut.get(name) ?? '' })
  }
  const unread = allUnread.filter(name => !waysOut.has(name))
  if (unread.length === 0) return
  reporter.event({
    type: 'warning',
    text: `${unread.join(', ')}: set, but no buildpack of this build reads ${unread.length > 1 ? 'them' : 'it'}`,
    fix: 'correct the name, or leave it out: the README of each buildpack lists its settings',
  })
}

async function readNames(file: string): Promise<readonly string[] | undefined> {
  const content = await readTrusted(file)
  if (content === undefined) return undefined
  const names: unknown = JSON.parse(new TextDecoder().decode(content))
  return Array.isArray(names) ? names.filter(name => typeof name === 'string') : undefined
}
