import { spawnSync } from 'node:child_process'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { JavaSource } from '../../buildpacks/java/java-source.ts'
import { provideJre } from '../../buildpacks/java/jdk.ts'
import { launchScript } from '../../buildpacks/java/launch-script.ts'
import { spawnRunner } from '../../buildpacks/sdk/command.ts'
import type { BuildContext, LayerDefinition } from '../../buildpacks/sdk/index.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { writeTree } from '../helpers/tree.ts'

/** Programs of a JDK. Java runs the class that javac leaves in a class path: it copies the certificates as they are. */
const programs = {
  'bin/java': {
    script: 'while [ "$1" != -cp ]; do [ $# -gt 1 ] || exit 0; shift; done\ntest -f "$2/$3.class" && cp "$4" "$5"',
  },
  'bin/javac': { script: 'while [ "$1" != -d ]; do shift; done\necho program > "$2/TrustStore.class"' },
  'bin/jlink': { script: 'for last; do :; done\nmkdir -p "$last/lib/security" && cp -r "${0%/*}" "$last/bin"' },
  'lib/security/cacerts': 'those of the JDK',
}

/** Provides the JRE of a JDK. @param home where its packages, or its vendor's archive, have Java in a layer */
async function provide(home: string, libraries: string | undefined, env: Record<string, string> = {}) {
  const root = await temporaryDirectory()
  const jdk = { home: join(root, 'jdk', home), version: '21.0.5+11', env: {} }
  await writeTree(jdk.home, { ...programs, 'lib/security/cacerts': { link: join(root, 'own-certificates') } })
  let unpacked = 0
  const source: JavaSource = {
    version: jdk.version,
    shown: jdk.version,
    key: { Java: jdk.version },
    unpack: async dir => {
      unpacked++
      await writeTree(join(dir, home), programs)
    },
    home: dir => Promise.resolve(join(dir, home)),
    libraries: dir => libraries && join(dir, libraries),
    components: [],
  }
  const context = {
    env,
    run: async (argv: readonly [string, ...string[]]) => {
      const result = await spawnRunner({ argv, cwd: root, env: { PATH: process.env['PATH'] ?? '' } }, () => {})
      if (result.exitCode !== 0) throw new Error(`${argv.join(' ')}: ${result.stderr}`)
      return result
    },
    layer: async (name: string, definition: LayerDefinition) => {
      const path = join(root, name)
      await mkdir(path)
      await definition.create(path)
      return { path }
    },
  } as unknown as BuildContext
  await provideJre(context, source, { major: '21', jdk, isRun: false })
  return { root, home: join(root, 'jre', home), unpacked }
}

const layouts: readonly (readonly [string, string, string | undefined])[] = [
  ['Debian’s packages', 'usr/lib/jvm/java-21-openjdk-amd64', 'usr/lib/x86_64-linux-gnu'],
  ['a vendor’s JDK', 'jdk', undefined],
]

const settings: readonly Record<string, string>[] = [{}, { BP_JVM_JLINK_ENABLED: 'false' }]

describe.each(layouts)('a JRE of %s', (_, home, libraries) => {
  it.each(settings)('makes a trust store of certificates at the start: %j', async env => {
    const jre = await provide(home, libraries, env)
    await writeTree(jre.root, { 'ca.pem': 'certificate' })
    const { status, stderr, output } = spawnSync('sh', ['-c', launchScript(1000)], {
      env: {
        PATH: process.env['PATH'],
        TMPDIR: jre.root,
        JAVA_HOME: jre.home,
        SSL_CERT_FILE: join(jre.root, 'ca.pem'),
      },
      stdio: ['ignore', 'inherit', 'pipe', 'pipe'],
      encoding: 'utf8',
    })
    expect(status, stderr).toBe(0)
    expect(output[3]).toContain('-Djavax.net.ssl.trustStore=')
  })

  it.each(settings)('is unpacked only if it has packages of its own: %j', async env => {
    const jre = await provide(home, libraries, env)
    expect(jre.unpacked).toBe(libraries === undefined ? 0 : 1)
    expect((await readdir(jre.home)).toSorted()).toEqual(['bin', 'lib'])
    // Those of Debian's package, not the build's own, which the JDK links to.
    expect(await readFile(join(jre.home, 'lib/security/cacerts'), 'utf8')).toContain('-----BEGIN CERTIFICATE')
  })
})
