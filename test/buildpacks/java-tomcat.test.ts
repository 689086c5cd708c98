import { createHash } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { mkdir, readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Maven } from '../../buildpacks/java/maven-artifacts.ts'
import { checkTomcatSettings, provideTomcat } from '../../buildpacks/java/tomcat.ts'
import { type BuildContext, type LayerDefinition, Log } from '../../buildpacks/sdk/index.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { type Tree, writeTree } from '../helpers/tree.ts'
import { zip } from '../helpers/zip.ts'

/** Stands in for Maven Central: what it copies is an archive with the files that Tomcat's has. */
function fakeMaven(root: string) {
  const copied: string[] = []
  const run = async (args: readonly string[]) => {
    const option = (name: string) => args.find(arg => arg.startsWith(`-D${name}=`))?.slice(name.length + 3) ?? ''
    copied.push(option('artifact'))
    const files = ['bin/catalina.sh', 'bin/catalina.bat', 'conf/server.xml', 'conf/web.xml', 'webapps/docs/index.html']
    await writeTree(join(root, 'made'), Object.fromEntries(files.map(file => [`apache-tomcat/${file}`, 'theirs'])))
    await mkdir(option('outputDirectory'), { recursive: true })
    spawnSync('tar', [
      '-czf',
      join(option('outputDirectory'), 'tomcat.tar.gz'),
      '-C',
      join(root, 'made'),
      'apache-tomcat',
    ])
  }
  return { copied, maven: { name: 'mvn', run } satisfies Maven }
}

const usesJavax = zip({ 'A.class': 'javax/servlet/Filter' })
const usesJakarta = zip({ 'A.class': 'jakarta/servlet/Filter' })

/** Makes the layer, and returns what is in it and what was said. */
async function provide(tree: Tree, env: Record<string, string> = {}) {
  const root = await temporaryDirectory()
  await writeTree(root, Object.fromEntries(Object.entries(tree).map(([path, text]) => [`app/${path}`, text])))
  const { copied, maven } = fakeMaven(root)
  let said = ''
  const note = (text: string) => void (said += text)
  const dir = join(root, 'layer')
  const context = {
    env,
    log: new Log({ stdout: note, stderr: note }),
    run: ([program, ...args]: readonly [string, ...string[]]) => {
      expect(spawnSync(program, args).status).toBe(0)
      return Promise.resolve()
    },
    layer: async (_: string, definition: LayerDefinition) => {
      await mkdir(dir)
      const contents = await definition.create(dir)
      return { path: dir, notes: contents?.notes ?? {} }
    },
  } as unknown as BuildContext
  const application = { path: '/workspace', staged: join(root, 'app') }
  const tomcat = await provideTomcat(context, application, { openMaven: () => Promise.resolve(maven), temp: root })
  return { tomcat, copied, said, dir }
}

describe('Tomcat', () => {
  it.each<[string, Tree, Record<string, string>, string]>([
    ['jakarta.servlet', { 'WEB-INF/classes/shop/A.class': 'Ljakarta/servlet/http/HttpServlet;' }, {}, '10.1.'],
    ['javax.servlet', { 'WEB-INF/classes/shop/A.class': 'Ljavax/servlet/Servlet;' }, {}, '9.0.'],
    ['a library with javax.servlet', { 'WEB-INF/lib/a.jar': usesJavax }, {}, '9.0.'],
    [
      'a library with both, which says nothing',
      { 'WEB-INF/lib/a.jar': zip({ 'A.class': 'javax/servlet/Filter', 'B.class': 'jakarta/servlet/Filter' }) },
      {},
      '10.1.',
    ],
    [
      'the namespace of web.xml',
      { 'WEB-INF/web.xml': '<web-app xmlns="http://java.sun.com/xml/ns/javaee">' },
      {},
      '9.0.',
    ],
    [
      'a web.xml of jakarta, whatever libraries use',
      { 'WEB-INF/lib/a.jar': usesJavax, 'WEB-INF/web.xml': '<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee">' },
      {},
      '10.1.',
    ],
    ['a line', { 'WEB-INF/web.xml': '' }, { BP_TOMCAT_VERSION: '11.*' }, '11.0.'],
    ['a release', { 'WEB-INF/web.xml': '' }, { BP_TOMCAT_VERSION: '10.1.40' }, '10.1.40'],
  ])('is of the version that goes with %s', async (_, tree, env, version) => {
    const { tomcat, copied } = await provide(tree, env)
    expect(tomcat.version.startsWith(version)).toBe(true)
    expect(copied).toEqual([`org.apache.tomcat:tomcat:${tomcat.version}:tar.gz`])
  })

  it('is what most of the libraries use, with a warning if others use another', async () => {
    const libraries = {
      'commons-fileupload-1.5.jar': usesJavax,
      'spring-web.jar': usesJakarta,
      'spring-webmvc.jar': usesJakarta,
    }
    const tree = Object.fromEntries(Object.entries(libraries).map(([name, jar]) => [`WEB-INF/lib/${name}`, jar]))
    const { tomcat, said } = await provide(tree)
    expect(tomcat.version).toMatch(/^10\./)
    expect(said).toContain(
      'Warning: spring-web.jar uses jakarta.servlet, but commons-fileupload-1.5.jar uses javax.servlet',
    )
    expect(said).toContain('Set BP_TOMCAT_VERSION to 9')
    expect((await provide(tree, { BP_TOMCAT_VERSION: '9' })).said).not.toContain('Warning')
    expect((await provide({ 'WEB-INF/lib/a.jar': usesJavax })).said).not.toContain('Warning')
  })

  it('names a library that is not an archive', async () => {
    const pointer = 'version https://git-lfs.github.com/spec/v1\n'
    expect(await failureOf(provide({ 'WEB-INF/lib/a.jar': pointer }))).toMatchObject({
      where: expect.stringMatching(/WEB-INF\/lib\/a\.jar$/) as string,
      message: expect.stringContaining('is not an archive') as string,
      fix: 'build it again; for a file of Git LFS run "git lfs pull"',
    })
  })

  it('has the application alone, on the port of the environment', async () => {
    const { dir, tomcat } = await provide({ 'WEB-INF/web.xml': '' })
    expect(await readdir(join(dir, 'webapps'))).toEqual(['ROOT'])
    expect(await readlink(join(dir, 'webapps/ROOT'))).toBe('/workspace')
    expect(await readdir(join(dir, 'bin'))).toEqual(['catalina.sh'])
    expect(await readFile(join(dir, 'conf/server.xml'), 'utf8')).toContain('<Connector port="${PORT:-8080}"')
    expect(await readFile(join(dir, 'conf/web.xml'), 'utf8')).toBe('theirs')
    expect(tomcat.command).toEqual(['sh', join(dir, 'bin/catalina.sh'), 'run'])
  })

  it.each([
    ['/shop', 'shop'],
    ['shop/of/all/', 'shop#of#all'],
    ['/', 'ROOT'],
  ])('serves it below %s', async (path, name) => {
    const { dir } = await provide({ 'WEB-INF/web.xml': '' }, { BP_TOMCAT_CONTEXT_PATH: path })
    expect(await readdir(join(dir, 'webapps'))).toEqual([name])
  })

  it.each(['..', '.', '/a/../b', '//a//b', '/.hidden', 'a#b', 'a b'])('refuses the path %s', async path => {
    const attempt = () => {
      checkTomcatSettings({ BP_TOMCAT_CONTEXT_PATH: path })
    }
    const error = {
      message: `"${path}" is not a path`,
      where: 'BP_TOMCAT_CONTEXT_PATH',
      fix: 'write for example "/shop"',
    }
    expect(await failureOf(attempt)).toMatchObject(error)
  })

  it('is the only container, in versions that there are', async () => {
    const check = async (env: Record<string, string>) =>
      failureOf(Promise.resolve().then(() => checkTomcatSettings(env)))
    expect(await check({ BP_JAVA_APP_SERVER: 'liberty' })).toMatchObject({
      where: 'BP_JAVA_APP_SERVER',
      message: '"liberty" is not a servlet container that Bale has',
    })
    expect(await check({ BP_TOMCAT_VERSION: '7.*' })).toMatchObject({ where: 'BP_TOMCAT_VERSION' })
    expect(() => checkTomcatSettings({ BP_JAVA_APP_SERVER: 'tomcat', BP_TOMCAT_VERSION: '9' })).not.toThrow()
  })
})

describe('Tomcat’s external configuration', () => {
  const archive = async (tree: Tree) => {
    const root = await temporaryDirectory()
    await writeTree(join(root, 'files'), tree)
    const file = join(root, 'conf.tar.gz')
    expect(spawnSync('tar', ['-czf', file, '-C', join(root, 'files'), '.']).status).toBe(0)
    const digest = createHash('sha256')
      .update(await readFile(file))
      .digest('hex')
    return { BP_TOMCAT_EXT_CONF_URI: `file://${file}`, BP_TOMCAT_EXT_CONF_SHA256: digest.toUpperCase() }
  }

  it('replaces files of Tomcat’s directory and adds others, without directories at the front', async () => {
    const own = await archive({ 'shop/conf/server.xml': 'mine', 'shop/lib/driver.jar': zip({ 'A.class': '' }) })
    const { dir, tomcat } = await provide({}, { ...own, BP_TOMCAT_EXT_CONF_STRIP: '2' })
    expect(await readFile(join(dir, 'conf/server.xml'), 'utf8')).toBe('mine')
    expect(await readFile(join(dir, 'conf/web.xml'), 'utf8')).toBe('theirs')
    expect(tomcat.classes).toBe(1)
    expect(await readlink(join(dir, 'webapps/ROOT'))).toBe('/workspace')
  })

  it('is an error where the archive is another one', async () => {
    const own = { ...(await archive({ 'conf/server.xml': 'mine' })), BP_TOMCAT_EXT_CONF_SHA256: '0'.repeat(64) }
    expect(await failureOf(provide({}, own))).toMatchObject({ where: 'BP_TOMCAT_EXT_CONF_SHA256' })
  })

  it.each([
    [{ BP_TOMCAT_EXT_CONF_URI: 'conf.tar' }, 'BP_TOMCAT_EXT_CONF_URI'],
    [{}, 'BP_TOMCAT_EXT_CONF_SHA256'],
    [{ BP_TOMCAT_EXT_CONF_SHA256: 'abc' }, 'BP_TOMCAT_EXT_CONF_SHA256'],
    [{ BP_TOMCAT_EXT_CONF_SHA256: 'a'.repeat(64), BP_TOMCAT_EXT_CONF_STRIP: 'one' }, 'BP_TOMCAT_EXT_CONF_STRIP'],
  ])('is refused with %o, before anything is installed', async (env, where) => {
    const all = { BP_TOMCAT_EXT_CONF_URI: 'https://shop.example/conf.tar', ...env }
    expect(await failureOf(() => checkTomcatSettings(all))).toMatchObject({ where })
  })
})
