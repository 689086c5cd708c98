import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { MavenProgram } from '../../buildpacks/java/maven-artifacts.ts'
import { checkMavenVersion, provideAskedMaven, requestedMaven } from '../../buildpacks/java/maven-version.ts'
import { App, BuildpackError, withTempDir } from '../../buildpacks/sdk/index.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { type Tree, writeTree } from '../helpers/tree.ts'
import { projectOf } from './sdk/project.ts'

const published = ['3.0.1', '3.8.9', '3.9.9', '3.9.16', '3.10.0', '4.0.0-rc-5']

/** Maven with a repository that has some releases. */
function fakeMaven(repository: string, runs: string[], version = '3.9.9'): MavenProgram {
  return {
    name: 'mvn',
    version,
    repository,
    as: (_, version) => fakeMaven(repository, runs, version),
    async run(args) {
      runs.push(args.find(arg => arg.startsWith('-Dartifact=')) ?? args.at(-1) ?? '')
      if (args.includes('dependency:resolve')) {
        const dir = join(repository, 'org/apache/maven/apache-maven')
        await mkdir(dir, { recursive: true })
        const versions = published.map(each => `      <version>${each}</version>\n`).join('')
        await writeFile(
          join(dir, 'maven-metadata-central.xml'),
          `<metadata><versions>\n${versions}</versions></metadata>`,
        )
        return
      }
      const wanted = /apache-maven:([^:]+):tar\.gz:bin/.exec(args.join(' '))?.[1] ?? ''
      if (!published.includes(wanted)) throw new BuildpackError('mvn failed')
      const downloads = args.find(arg => arg.startsWith('-DoutputDirectory='))?.split('=')[1] ?? ''
      await mkdir(downloads, { recursive: true })
      await writeFile(join(downloads, `apache-maven-${wanted}-bin.tar.gz`), '')
    },
  }
}

async function provide(app: Record<string, string>, env: Record<string, string> = {}) {
  const runs: string[] = []
  const repository = await temporaryDirectory()
  const found: MavenProgram[] = []
  const project = await projectOf(
    async context =>
      withTempDir(async temp => {
        const request = await requestedMaven(context.app, context.env)
        found.push(await provideAskedMaven(context, { debian: fakeMaven(repository, runs), request, temp }))
        return {}
      }),
    { app, env, runner: () => Promise.resolve({ exitCode: 0, stdout: '', stderr: '' }) },
  )
  const { output, exitCode } = await project.build()
  return { output, exitCode, runs, version: found[0]?.version }
}

describe('the version of Maven', () => {
  it.each<[Record<string, string>, Record<string, string>, string, string[]]>([
    [{}, {}, '3.9.9', []],
    [{}, { BP_MAVEN_VERSION: '3' }, '3.9.9', []],
    [{}, { BP_MAVEN_VERSION: '3.9.x' }, '3.9.9', []],
    [{}, { BP_MAVEN_VERSION: '3.9.16' }, '3.9.16', ['-Dartifact=org.apache.maven:apache-maven:3.9.16:tar.gz:bin']],
    [
      {},
      { RAILPACK_MAVEN_VERSION: '3.8' },
      '3.8.9',
      ['dependency:resolve', '-Dartifact=org.apache.maven:apache-maven:3.8.9:tar.gz:bin'],
    ],
    [
      { 'system.properties': 'java.runtime.version=21\nmaven.version=3.10.0\n' },
      {},
      '3.10.0',
      ['-Dartifact=org.apache.maven:apache-maven:3.10.0:tar.gz:bin'],
    ],
    [{ '.sdkmanrc': 'java=21-tem\nmaven=3.9.9\n' }, {}, '3.9.9', []],
    [{ '.tool-versions': 'maven 3.9.9\n' }, {}, '3.9.9', []],
    [{ '.tool-versions': 'maven system\n', 'mise.toml': '[tools]\nmaven = "system"\n' }, {}, '3.9.9', []],
  ])('%j %j: %s', async (app, env, version, runs) => {
    const { output, exitCode, ...provided } = await provide(app, env)
    expect(exitCode, output).toBe(0)
    expect(provided).toEqual({ version, runs })
    if (runs.length > 0) expect(output).toContain(`Maven ${version}: `)
  })

  it.each([
    ['3.9.99', 'the nearest is 3.9.16; the repositories have 3.0.1 to 3.10.0'],
    ['4', 'the nearest is 3.10.0; the repositories have 3.0.1 to 3.10.0'],
    ['3.2', 'the nearest is 3.0.1; the repositories have 3.0.1 to 3.10.0'],
  ])('%s is refused with the nearest', async (value, fix) => {
    const { output, exitCode } = await provide({}, { BP_MAVEN_VERSION: value })
    expect(exitCode).toBe(1)
    expect(output).toContain(`Error: BP_MAVEN_VERSION: there is no Maven ${value}\n`)
    expect(output).toContain(fix)
  })

  it('that is none is refused before anything is installed', async () => {
    const check = async (tree: Tree, env: Record<string, string>) => {
      const dir = await temporaryDirectory()
      await writeTree(dir, tree)
      return checkMavenVersion(new App(dir), env)
    }
    expect(await failureOf(check({}, { BP_MAVEN_VERSION: 'new' }))).toMatchObject({
      message: '"new" is not a version of Maven',
      where: 'BP_MAVEN_VERSION',
    })
    await check({}, { BP_MAVEN_VERSION: '4.0.0-rc-5' })
    await check({}, {})
  })
})
