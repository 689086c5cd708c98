import { spawnSync } from 'node:child_process'
import { mkdir, readFile, readlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { openPromise } from 'yauzl'
import type { DebianArchive } from '../../buildpacks/debian/archive.ts'
import { readArchive } from '../../buildpacks/java/archive.ts'
import { placeArtifact, startWebApplication } from '../../buildpacks/java/image-files.ts'
import type { Jdk } from '../../buildpacks/java/jdk.ts'
import { openMaven } from '../../buildpacks/java/maven.ts'
import { App, type BuildContext, type LayerDefinition, Log } from '../../buildpacks/sdk/index.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { readTree, type Tree, writeTree } from '../helpers/tree.ts'
import { zip } from '../helpers/zip.ts'

/** Stands in for an older Maven wrapper, which looks for its properties where it runs, and for Maven, which reads its settings there. */
const wrapper = `
test -f .mvn/wrapper/maven-wrapper.properties || { echo "no properties in $PWD" >&2; exit 1; }
while [ $# -gt 0 ]; do
  case $1 in
    -s) test -f "$2" || { echo "no settings $2" >&2; exit 1; } ;;
    -DoutputDirectory=*) out=\${1#*=} ;;
  esac
  shift
done
mkdir -p made/apache-tomcat/bin made/apache-tomcat/conf "$out"
echo theirs > made/apache-tomcat/bin/catalina.sh
tar -czf "$out/tomcat.tar.gz" -C made apache-tomcat`

/** What `jar --extract` does. */
async function extract(file: string, dir: string): Promise<void> {
  const archive = await openPromise(file)
  for await (const entry of archive.eachEntry()) {
    await mkdir(join(dir, dirname(entry.fileName)), { recursive: true })
    await writeFile(join(dir, entry.fileName), await buffer(await archive.openReadStreamPromise(entry)))
  }
}

/** An application with a wrapper, and what makes its image. */
async function application(files: Tree, env: Record<string, string>) {
  const root = await temporaryDirectory()
  const source = { mvnw: { script: wrapper }, '.mvn/wrapper/maven-wrapper.properties': '' }
  await writeTree(join(root, 'app'), { ...source, ...files })
  const temp = join(root, 'temp')
  await mkdir(temp)
  const app = new App(join(root, 'app'))
  const context = {
    app,
    env,
    platformDir: join(root, 'platform'),
    log: new Log({ stdout: () => {}, stderr: () => {} }),
    run: async ([program, ...args]: readonly [string, ...string[]], { cwd = app.path }: { cwd?: string } = {}) => {
      if (program.endsWith('bin/jar')) return extract(args.at(-1) ?? '', cwd)
      const { status, stderr } = spawnSync(program, args, { cwd, encoding: 'utf8' })
      if (status !== 0) throw new Error(stderr)
    },
    layer: async (name: string, definition: LayerDefinition) => {
      const path = join(root, name)
      await mkdir(path)
      const contents = await definition.create(path)
      return { path, notes: contents?.notes ?? {} }
    },
  } as unknown as BuildContext
  const jdk = { home: '/jdk', version: '21', env: {} } satisfies Jdk
  const maven = () => openMaven(context, { archive: {} as DebianArchive, jdk, temp }, 'mvnw')
  return { app, context, root, tools: { jdk, temp, start: new Date(), openMaven: maven } }
}

/** Places a war that the application's wrapper built, and returns what is in the application's directory. */
async function place(source: Tree, env: Record<string, string> = {}) {
  const war = zip({ 'WEB-INF/classes/A.class': 'jakarta/servlet/Servlet', 'index.html': 'shop' })
  const { app, context, root, tools } = await application({ 'target/shop.war': war, ...source }, env)
  const archive = await readArchive(app.at('target/shop.war'))
  const image = await placeArtifact(context, { kind: 'war', archive }, tools)
  return { image, root, files: await readTree(app.path) }
}

describe('a war', () => {
  it('gets Tomcat by the wrapper that built it, before that goes with the source', async () => {
    const { image, root, files } = await place({ 'pom.xml': '' })
    expect(image.processes[0]?.command).toEqual(['sh', join(root, 'tomcat/bin/catalina.sh'), 'run'])
    expect(files).toEqual({ 'webapp/WEB-INF/classes/A.class': 'jakarta/servlet/Servlet', 'webapp/index.html': 'shop' })
  })

  it('is alone in the directory that Tomcat serves', async () => {
    const { root, files } = await place({ Procfile: 'release: true', '.env': 'secret' }, { BP_INCLUDE_FILES: '.env' })
    expect(Object.keys(files).sort()).toEqual([
      '.env',
      'Procfile',
      'webapp/WEB-INF/classes/A.class',
      'webapp/index.html',
    ])
    expect(await readlink(join(root, 'tomcat/webapps/ROOT'))).toBe(join(root, 'app/webapp'))
  })

  it('gets Tomcat with the settings that MAVEN_SETTINGS_PATH names in the source', async () => {
    const { files } = await place({ 'ci/settings.xml': '' }, { MAVEN_SETTINGS_PATH: 'ci/settings.xml' })
    expect(files).not.toHaveProperty('ci/settings.xml')
  })
})

describe('an unpacked web application', () => {
  it.each([
    ['', {}],
    ['/shop', { BP_TOMCAT_CONTEXT_PATH: 'shop' }],
  ])('does not serve what is beside it, below %j', async (prefix, env) => {
    const beside = ['Procfile', 'app.yaml', '.env', '.git/config', 'a/.secret (old)']
    const served = ['Procfile.txt', 'a/Procfile', 'xenv', 'appxyaml', '.well-known/security.txt', 'a/index.html']
    const files = ['WEB-INF/.x', ...beside, ...served].map(path => [path, ''])
    const { context, root, tools } = await application(Object.fromEntries(files) as Tree, env)
    await startWebApplication(context, tools)
    const rules = await readFile(join(root, 'tomcat/conf/Catalina/localhost/rewrite.config'), 'utf8')
    const patterns = [...rules.matchAll(/^RewriteRule (\S+) - \[F\]$/gm)].map(([, pattern = '']) => new RegExp(pattern))
    const isRefused = (path: string) => patterns.some(pattern => pattern.test(`${prefix}/${path}`))
    expect(beside.filter(path => !isRefused(path))).toEqual([])
    expect(served.filter(isRefused)).toEqual([])
    expect(rules).not.toContain('WEB-INF')
    const server = await readFile(join(root, 'tomcat/conf/server.xml'), 'utf8')
    expect(server).toContain('<Valve className="org.apache.catalina.valves.rewrite.RewriteValve"/>')
  })
})
