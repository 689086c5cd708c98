import { execFile } from 'node:child_process'
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { frontEndTools } from '../../buildpacks/sdk/front-end-tools.ts'

const buildpacks = join(import.meta.dirname, '../../buildpacks')

/** Runs a buildpack's bin/detect or bin/build in an application, with a main.cjs that says what it was given. */
async function runBin(
  name: string,
  phase: string,
  files: string[],
  env: Record<string, string> = {},
  contents: Readonly<Record<string, string>> = {},
) {
  const root = await mkdtemp(join(tmpdir(), 'bin-'))
  onTestFinished(() => rm(root, { recursive: true }))
  const dir = join(root, 'buildpack')
  await cp(join(buildpacks, name, 'bin'), join(dir, 'bin'), { recursive: true })
  await writeFile(join(dir, 'main.cjs'), `console.log('main', process.argv[2], process.env.NODE_OPTIONS)`)
  const app = join(root, 'app')
  await mkdir(join(app, 'src'), { recursive: true })
  for (const file of files) await writeFile(join(app, file), '')
  for (const [file, content] of Object.entries(contents)) await writeFile(join(app, file), content)
  const options = { cwd: app, env: { PATH: process.env['PATH'], CNB_BUILDPACK_DIR: dir, ...env } }
  return new Promise<{ status: number; stdout: string; stderr: string }>(resolve => {
    execFile(join(dir, 'bin', phase), options, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}

describe.each([
  ['nodejs', ['package.json', 'server.js', 'app.js', 'main.js', 'index.js']],
  ['python', ['requirements.txt', 'any.py', 'src/main.py', 'pyproject.toml', 'Pipfile', 'uv.lock']],
  ['go', ['go.mod', 'go.work', 'any.go']],
  ['rust', ['Cargo.toml']],
  ['java', ['pom.xml', 'build.gradle.kts', 'settings.gradle', 'shop.jar']],
  ['ruby', ['Gemfile', 'gems.rb', 'config.ru', 'any.rb']],
  ['elixir', ['mix.exs']],
  ['php', ['composer.json', 'artisan', 'any.php', 'src/any.php']],
  ['make', ['CMakeLists.txt', 'Makefile', 'configure']],
  ['static', ['Staticfile', 'index.html', 'src/index.html', 'hugo.toml']],
  ['procfile', ['app.yaml', 'start.sh']],
  ['apt', ['Aptfile']],
  ['health-checker', []],
  ['live-reload', []],
])('%s bin/detect', (name, files) => {
  it('rules itself out without starting Node, and leaves the explanation to the last buildpack', async () => {
    const { status, stdout, stderr } = await runBin(name, 'detect', ['notes.txt'], { PATH: '/nowhere' })
    expect({ status, stdout, stderr }).toEqual({ status: 100, stdout: '', stderr: '' })
  })

  it.each(files)('asks the program about %s', async file => {
    expect(await runBin(name, 'detect', [file])).toMatchObject({ status: 0, stdout: 'main detect undefined\n' })
  })
})

it.each(['nodejs', 'python', 'go', 'rust', 'java', 'ruby', 'php', 'elixir', 'static'])(
  '%s bin/detect asks the program for the versions that it offers, whatever the source is',
  async name => {
    expect(await runBin(name, 'detect', [], { BALE_LIST_VERSIONS: 'true' })).toMatchObject({
      status: 0,
      stdout: 'main detect undefined\n',
    })
  },
)

it.each(frontEndTools.map(tool => tool.package))('static bin/detect asks the program about %s', async name => {
  const json = JSON.stringify({ devDependencies: { [name]: '1' } }, undefined, 2)
  expect((await runBin('static', 'detect', [], {}, { 'package.json': json })).status).toBe(0)
  expect((await runBin('static', 'detect', [], {}, { 'package.json': json.replace(name, 'jest') })).status).toBe(100)
})

it('static bin/detect asks the program about a folder of a workspace', async () => {
  const status = async (folder: string) =>
    (await runBin('static', 'detect', [], { BP_NODE_PROJECT_PATH: folder }, { 'src/package.json': '{}' })).status
  expect([await status('src'), await status('none')]).toEqual([0, 100])
})

it.each<Record<string, string>>([
  { 'package.json': '{\n  "workspaces": ["apps/*"]\n}' },
  { 'package.json': '{}', 'pnpm-workspace.yaml': '' },
  { 'package.json': '{}', 'nx.json': '{}' },
])('static bin/detect asks the program about a workspace, whose front end no setting names: %j', async files => {
  expect((await runBin('static', 'detect', [], {}, files)).status).toBe(0)
})

it('nodejs bin/detect asks the program about gems that run JavaScript', async () => {
  const status = async (gem: string) =>
    (await runBin('nodejs', 'detect', [], {}, { Gemfile: 'gem "rails"\n', 'Gemfile.lock': `    ${gem} (1.0)\n` }))
      .status
  expect([await status('execjs'), await status('puma')]).toEqual([0, 100])
})

describe('procfile bin/detect', () => {
  it('takes part without starting Node where there is a Procfile', async () => {
    const { status, stdout } = await runBin('procfile', 'detect', ['Procfile'], { PATH: '/nowhere' })
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'Procfile is there\n' })
  })
})

it.each([
  ['python', { BP_PIP_REQUIREMENT: 'base.txt' }],
  ['go', { GOOGLE_BUILDABLE: './back' }],
  ['ruby', { BUNDLE_GEMFILE: 'ci/Gemfile' }],
  ['php', { COMPOSER: 'build/composer.json' }],
  ['php', { BP_PHP_WEB_DIR: 'site' }],
  ['procfile', { GOOGLE_ENTRYPOINT: 'run' }],
  ['apt', { BP_APT_PACKAGES: 'jq' }],
  ['health-checker', { BP_HEALTH_CHECKER_ENABLED: 'true' }],
  ['live-reload', { BP_LIVE_RELOAD_ENABLED: 'true' }],
  ['procfile', { RAILPACK_START_CMD: 'run' }],
  ['make', { BP_LANGUAGE: 'c++' }],
  ['make', { BP_MAKE_ARGUMENTS: 'all' }],
  ['static', { BP_WEB_SERVER: 'nginx' }],
  ['static', { BP_LANGUAGE: 'nodejs,static' }],
])('%s bin/detect asks the program about %j', async (name, env) => {
  expect((await runBin(name, 'detect', [], env)).status).toBe(0)
})

describe.each(['nodejs', 'python', 'go', 'rust', 'ruby', 'php', 'elixir', 'procfile'])('%s bin/build', name => {
  it('starts the program without the application’s NODE_OPTIONS', async () => {
    const env = { NODE_OPTIONS: '--require ./not-installed-yet.js' }
    expect(await runBin(name, 'build', [], env)).toMatchObject({ status: 0, stdout: 'main build undefined\n' })
  })

  it('says so if there is no Node', async () => {
    const sh = await mkdtemp(join(tmpdir(), 'path-'))
    onTestFinished(() => rm(sh, { recursive: true }))
    await chmod(sh, 0o755)
    const { status, stderr } = await runBin(name, 'build', [], { PATH: sh })
    expect(status).toBe(1)
    expect(stderr).toContain('there is no Node.js to run this buildpack with')
  })
})

it('bin/main is the same in all buildpacks', async () => {
  const names = (await readdir(buildpacks, { withFileTypes: true })).filter(entry => entry.isDirectory())
  const texts = names.map(({ name }) => readFile(join(buildpacks, name, 'bin/main'), 'utf8').catch(() => undefined))
  expect(new Set((await Promise.all(texts)).filter(text => text !== undefined)).size).toBe(1)
})
