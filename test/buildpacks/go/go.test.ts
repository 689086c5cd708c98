import { mkdir, readdir, readlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { go } from '../../../buildpacks/go/go.ts'
import type { Tree } from '../../../buildpacks/sdk/testing.ts'
import { openProject } from '../sdk/project.ts'
import { FakeGo } from './fake-go.ts'

const dir = join(import.meta.dirname, '../../../buildpacks/go')
const main = 'package main\n\nfunc main() {}\n'
const mod = (more = '') => `module example.com/shop\n\ngo 1.24\n${more}`

async function goProject(app: Tree, env: Record<string, string> = {}) {
  const fake = new FakeGo()
  const project = await openProject({ buildpack: go, dir, app, env, runner: fake.runner })
  return { fake, project }
}

const web: Tree = { 'go.mod': mod(), 'main.go': main }

interface Process {
  readonly type: string
  readonly command: string[]
  readonly default?: boolean
}
const processes = (launch: unknown) => (launch as { processes: Process[] }).processes

describe('detect', () => {
  it.each<[string, Tree, Record<string, string>, string]>([
    ['go.mod', web, {}, 'Go: go.mod and main.go'],
    ['go.work', { 'go.work': 'use ./a', 'a/go.mod': mod() }, {}, 'Go: go.work'],
    ['a source at the root', { 'main.go': main }, {}, 'Go: main.go'],
    ['a source among commands', { 'cmd/web/main.go': main }, {}, 'Go: cmd/web/main.go'],
    [
      'a module that the user names',
      { 'back/go.mod': mod(), 'back/main.go': main },
      { GOOGLE_BUILDABLE: './back' },
      'Go: back/go.mod',
    ],
  ])('passes with %s', async (_name, app, env, why) => {
    const { project } = await goProject(app, env)
    expect(await project.detect()).toMatchObject({
      exitCode: 0,
      output: `${why}\n`,
      plan: { provides: [{ name: 'go' }], requires: [{ name: 'go' }] },
    })
  })

  it.each<[string, Tree]>([
    ['tests alone', { 'main_test.go': main }],
    ['a module that nobody names', { 'back/go.mod': mod(), 'back/main.go': main }],
    ['an application in another language', { 'tools/lint.go': main, 'manage.py': '', 'requirements.txt': '' }],
  ])('does not pass with %s', async (_name, app) => {
    const { project } = await goProject(app)
    expect((await project.detect()).exitCode).toBe(100)
  })
})

describe('templates of templ', () => {
  const required = mod('require github.com/a-h/templ v0.3.857\n')
  const app = { 'go.mod': required, 'go.sum': '', 'main.go': main, 'views/hello.templ': 'package views' }
  const generate = 'go run github.com/a-h/templ/cmd/templ@v0.3.857 generate'

  it('are compiled with the version of go.mod, unless that is committed', async () => {
    const { project, fake } = await goProject(app)
    expect(await project.build()).toMatchObject({ exitCode: 0 })
    expect(fake.commands).toContain(generate)
    const committed = await goProject({ ...app, 'views/hello_templ.go': 'package views' })
    expect(await committed.project.build()).toMatchObject({ exitCode: 0 })
    expect(committed.fake.commands).not.toContain(generate)
  })

  it('are an error without a version', async () => {
    const { output, exitCode } = await (await goProject({ ...app, 'go.mod': mod() })).project.build()
    expect(exitCode).toBe(1)
    expect(output).toContain('Error: views/hello.templ: it is not compiled')
  })
})

describe('a function of the Functions Framework', () => {
  const required = `${mod()}require github.com/GoogleCloudPlatform/functions-framework-go v1.9.2\n`
  const imports = 'import "github.com/GoogleCloudPlatform/functions-framework-go/functions"'
  const registers = (...names: string[]) =>
    `package hello\n\n${imports}\n\nfunc init() {\n${names.map(name => `\tfunctions.HTTP("${name}", greet)\n`).join('')}}\n`
  const app = (source: string, more: Tree = {}) => ({ 'go.mod': required, 'go.sum': '', 'hello.go': source, ...more })
  const exported = 'package hello\n\nfunc Welcome() {}\n'

  /** What the build says, and the program that it writes around the function. */
  async function built(tree: Tree, env: Record<string, string> = {}) {
    const { project, fake } = await goProject(tree, env)
    const { exitCode, output, launch } = await project.build()
    if (exitCode !== 0) return { output, commands: fake.commands }
    const name = processes(launch)[0]?.command[0]?.split('/').at(-1)
    const made = await project.read(`layers/programs/bin/${name}`)
    const { texts, GOFLAGS } = JSON.parse(made) as { texts: string[]; GOFLAGS: string }
    const target = await project.read('layers/programs/env.launch/FUNCTION_TARGET.default').catch(() => undefined)
    return {
      output,
      commands: fake.commands,
      target,
      flags: GOFLAGS,
      program: texts.find(text => text.startsWith('package main')) ?? '',
    }
  }

  it('is served by a program of its own: the only one that is registered', async () => {
    const { output, target, program } = await built(app(registers('Greet')))
    expect(output).toContain('Function: Greet (the only function that the package registers)')
    expect(target).toBe('Greet')
    expect(program).toContain('_ "example.com/shop"')
    expect(program).not.toContain('RegisterHTTP')
  })

  it.each([
    [{}, 'RegisterHTTPFunctionContext'],
    [{ GOOGLE_FUNCTION_SIGNATURE_TYPE: 'cloudevent' }, 'RegisterCloudEventFunctionContext'],
  ])('is one that the package exports and GOOGLE_FUNCTION_TARGET names: %j', async (env, register) => {
    const tree = { 'go.mod': mod(), 'hello.go': exported, 'cmd/main.go': main }
    const { commands, target, program } = await built(tree, { GOOGLE_FUNCTION_TARGET: 'Welcome', ...env })
    expect(target).toBe('Welcome')
    expect(program).toContain(`funcframework.${register}(context.Background(), "/", function.Welcome)`)
    expect(commands).toContain('go get github.com/GoogleCloudPlatform/functions-framework-go@v1.9.2')
  })

  it.each<[string, Tree, Record<string, string>]>([
    ['its own', {}, {}],
    ['one that is named', {}, { BP_GO_TARGETS: './cmd', GOOGLE_FUNCTION_TARGET: 'Greet' }],
    ['one that a Procfile starts', { Procfile: 'web: cmd' }, { GOOGLE_FUNCTION_TARGET: 'Greet' }],
  ])('leaves a program of the application alone: %s', async (_, more, env) => {
    const { output, target } = await built(app(registers('Greet'), { 'cmd/main.go': main, ...more }), env)
    expect(output).toContain('Programs: cmd (cmd)')
    expect(target).toBeUndefined()
  })

  it('is known by its package’s code alone', async () => {
    const other = registers('Other')
    const { output, program } = await built(
      app(
        `package hello\n\nimport ff "github.com/GoogleCloudPlatform/functions-framework-go/functions"\n\nfunc init() {\n\tff.HTTP(\`Greet\`, greet)\n\t// ff.HTTP("Old", old)\n}\n`,
        {
          'ignored.go': `//go:build ignore\n\n${other}`,
          'hello_test.go': other,
          '_function/notes': '',
        },
      ),
    )
    expect(output).toContain('Function: Greet (the only function that the package registers)')
    expect(program).toContain('_ "example.com/shop"')
  })

  it('is built from the vendor folder, which has to have what serves it', async () => {
    const vendored = (...packages: string[]) =>
      built(
        app(registers('Greet'), {
          'vendor/modules.txt': ['# github.com/GoogleCloudPlatform/functions-framework-go v1.9.2', ...packages].join(
            '\n',
          ),
        }),
      )
    const { output } = await vendored('github.com/GoogleCloudPlatform/functions-framework-go/functions')
    expect(output).toMatch(/vendor\/modules\.txt: the vendor folder lacks \S+\/funcframework/)
    const whole = await vendored('github.com/GoogleCloudPlatform/functions-framework-go/funcframework')
    expect(whole.output).toContain('Function: Greet')
    expect(whole.flags).not.toContain('-mod=mod')
  })

  it.each<[string, Tree, Record<string, string>, RegExp]>([
    ['several', app(registers('A', 'B')), {}, /go\.mod: there are several functions: A, B[^]*GOOGLE_FUNCTION_TARGET=A/],
    [
      'no name of Go',
      app(registers('A')),
      { GOOGLE_FUNCTION_TARGET: 'x(); y' },
      /GOOGLE_FUNCTION_TARGET: "x\(\); y" is not a function that the package registers or exports/,
    ],
    [
      'no type',
      app(exported),
      { GOOGLE_FUNCTION_TARGET: 'Welcome', GOOGLE_FUNCTION_SIGNATURE_TYPE: 'htp' },
      /GOOGLE_FUNCTION_SIGNATURE_TYPE: "htp" is not a type[^]*http, event, cloudevent/,
    ],
  ])('says what to do: %s', async (_, tree, env, message) => {
    expect((await built(tree, env)).output).toMatch(message)
  })
})

describe('the version of Go', () => {
  const versionOf = async (app: Tree, env: Record<string, string> = {}) => {
    const { project } = await goProject({ ...web, ...app }, env)
    const { output } = await project.build()
    return /^ {2}(Go .*)$/m.exec(output)?.[1] ?? output
  }

  it.each<[string, Tree, string]>([
    ['a go line', {}, 'Go 1.26.0: the newest, and go.mod:3 needs at least 1.24'],
    ['no go line', { 'go.mod': 'module a\n' }, 'Go 1.26.0: the newest, as nothing requests another'],
    [
      'a go line for a release to come',
      { 'go.mod': 'module a\ngo 1.27rc1\n' },
      'Go 1.27rc1: the newest, and go.mod:2 needs at least 1.27rc1',
    ],
    ['a toolchain line', { 'go.mod': mod('toolchain go1.25.3\n') }, 'Go 1.25.3: go.mod:4 asks for go1.25.3'],
    [
      'a toolchain line that names none',
      { 'go.mod': mod('toolchain default\n') },
      'Go 1.26.0: the newest, and go.mod:3 needs at least 1.24',
    ],
    ['Heroku’s comment', { 'go.mod': mod('// +heroku goVersion 1.24\n') }, 'Go 1.24.9: go.mod:4 asks for 1.24'],
    [
      'Heroku’s comment, exactly',
      { 'go.mod': mod('// +heroku goVersion =go1.24.1\n') },
      'Go 1.24.1: go.mod:4 asks for =go1.24.1',
    ],
    ['.go-version', { '.go-version': '1.25.3\r\n' }, 'Go 1.25.3: .go-version asks for 1.25.3'],
    ['.tool-versions', { '.tool-versions': 'nodejs 24\ngolang 1.24.1\n' }, 'Go 1.24.1: .tool-versions asks for 1.24.1'],
    ['mise.toml', { 'mise.toml': '[tools]\ngo = "1.25"\n' }, 'Go 1.25.3: mise.toml asks for 1.25'],
    [
      'an old version without patch',
      { 'go.mod': 'module a\ngo 1.9\n', '.go-version': '1.20.0' },
      'Go 1.20: .go-version asks for 1.20.0',
    ],
  ])('%s', async (_name, app, expected) => expect(await versionOf(app)).toBe(expected))

  it.each(['BP_GO_VERSION', 'GOOGLE_GO_VERSION', 'RAILPACK_GO_VERSION', 'GOVERSION'])('%s wins', async name => {
    expect(await versionOf({ '.go-version': '1.26.0' }, { [name]: '1.24.x' })).toBe(
      `Go 1.24.9: ${name} asks for 1.24.x`,
    )
  })

  it('is what the newest module of a workspace needs', async () => {
    const app = {
      'go.work': 'go 1.24\nuse (\n\t./a // first\n\t"./b"\n)\n',
      'a/go.mod': mod(),
      'b/go.mod': 'module b\ngo 1.25\n',
    }
    expect(await versionOf(app)).toBe('Go 1.26.0: the newest, and b/go.mod:2 needs at least 1.25')
  })

  it('says so if a pin is older than a go.mod allows', async () => {
    const { project } = await goProject({ ...web, '.tool-versions': 'golang 1.21.0\n' })
    const { output, exitCode } = await project.build()
    expect(exitCode).toBe(0)
    expect(output).toContain('Warning: .tool-versions asks for 1.21.0, but go.mod:3 needs at least 1.24')
    expect(output).toContain('Go 1.26.0: go.mod:3 needs at least 1.24')
  })

  it.each<[string, Tree, string, string | undefined]>([
    ['satisfies all', { '.go-version': '1.24', '.tool-versions': 'golang 1.24.1\n' }, 'Go 1.24.1: ', undefined],
    [
      'is that of the first place, with a warning',
      { '.go-version': '1.25', 'mise.toml': '[tools]\ngo = "1.24"\n' },
      'Go 1.25.3: ',
      '.go-version asks for 1.25, but mise.toml for 1.24',
    ],
    [
      'is older than a toolchain line, with a warning',
      { '.go-version': '1.24', 'go.mod': mod('toolchain go1.25.3\n') },
      'Go 1.24.9: ',
      '.go-version asks for 1.24, but go.mod:4 for >=1.25.3',
    ],
    [
      'is newer than a toolchain line',
      { '.go-version': '1.26', 'go.mod': mod('toolchain go1.25.3\n') },
      'Go 1.26.0: ',
      undefined,
    ],
  ])('of several pins %s', async (_name, app, version, warning) => {
    const { project } = await goProject({ ...web, ...app })
    const { output, exitCode } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(output).toContain(version)
    if (warning === undefined) expect(output).not.toContain('Warning')
    else expect(output).toContain(`Warning: ${warning}`)
  })

  it.each<[string, Tree, RegExp]>([
    ['no version', { '.go-version': 'banana' }, /Error: \.go-version: "banana" is not a version of Go or a range/],
    [
      'a version to come',
      { 'go.mod': 'module a\ngo 1.99\n' },
      /Error: go\.mod:2: no version of Go satisfies ">=1\.99\.0".*\n {2}the newest is 1\.26\.0/,
    ],
    [
      'a version that never was',
      { '.go-version': '1.25.99' },
      /Error: \.go-version and go\.mod:3: there is no Go 1\.25\.99[\s\S]*the nearest is 1\.25\.3;/,
    ],
  ])('%s ends the build before anything is compiled', async (_name, app, message) => {
    const { fake, project } = await goProject({ ...web, ...app })
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toMatch(message)
    expect(fake.commands.filter(command => command.startsWith('go build'))).toEqual([])
  })
})

describe('the toolchain', () => {
  it('comes from the proxy, without its tests, by a Go command that is fetched once', async () => {
    const { fake, project } = await goProject(web)
    const { layers } = await project.build()
    expect(fake.commands.slice(0, 6)).toEqual([
      'apt-get update',
      'apt-get install',
      'apt-get download',
      'go list -m -versions go',
      'go version',
      'go list -find ./...',
    ])
    expect((await readdir(join(project.layersDir, 'go'), { recursive: true })).toSorted()).toEqual([
      'VERSION',
      'bin',
      'bin/go',
      'src',
      'src/fmt',
      'src/fmt/print.go',
      'src/io',
    ])
    // For the build, too: such a layer is watched (X40).
    expect(layers['go']?.types).toEqual({ launch: false, build: true, cache: true })
    fake.commands.length = 0
    await project.nextBuild({ 'main.go': `${main}// changed\n` })
    await project.build()
    expect(fake.commands.map(command => command.split(' ').slice(0, 2).join(' '))).toEqual([
      'go list',
      'go list',
      'go list',
      'go build',
      'go version',
    ])
  })

  it('is one for this machine where the image is for another, and compiles for that', async () => {
    const [own = '', other = ''] = process.arch === 'x64' ? ['amd64', 'arm64'] : ['arm64', 'amd64']
    const { fake, project } = await goProject(web, { CNB_TARGET_ARCH: other })
    const { layers, exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(layers['go']?.metadata).toMatchObject({ key: { architecture: own } })
    expect(Object.keys(layers)).toEqual(expect.arrayContaining([`go-client-${own}`, `apt-${own}`]))
    expect(fake.debian.architectures).toEqual([own, own, own])
    expect(fake.compiledFor).toBe(other)
  })

  it('is that of the last build if the proxy cannot be reached', async () => {
    const { fake, project } = await goProject(web)
    await project.build()
    fake.offline = true
    await project.nextBuild()
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(0)
    expect(output).toContain('Warning: the versions of Go cannot be listed, so the version of the last build is used')
  })

  it('ends the first build if the proxy cannot be reached', async () => {
    const { fake, project } = await goProject(web)
    fake.offline = true
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toMatch(/the versions of Go cannot be listed:\n.*connection refused\n {2}check the network, GOPROXY/)
  })
})

describe('programs', () => {
  const typesOf = async (app: Tree, env: Record<string, string> = {}) => {
    const { project } = await goProject(app, env)
    const { launch, output, exitCode } = await project.build()
    return exitCode === 0
      ? processes(launch).map(({ type, command }) => `${type}=${command[0]?.replace(/.*\//, '')}`)
      : output
  }

  it('are processes: web is the first, and each has its own', async () => {
    const { project } = await goProject(web)
    const { launch } = await project.build()
    const command = [join(project.layersDir, 'programs/bin/shop')]
    expect(processes(launch)).toEqual([
      { type: 'web', command, default: true },
      { type: 'shop', command },
    ])
  })

  const two = { 'go.mod': mod(), 'cmd/admin/main.go': main, 'cmd/server/main.go': main, 'lib/lib.go': 'package lib\n' }
  it.each<[string, Tree, Record<string, string>, string[]]>([
    ['all main packages', two, {}, ['web=server', 'server=server', 'admin=admin']],
    ['one called web', { ...two, 'cmd/web/main.go': main }, {}, ['web=web', 'admin=admin', 'server=server']],
    [
      'the one at the root first',
      { ...two, 'main.go': main },
      {},
      ['web=shop', 'shop=shop', 'admin=admin', 'server=server'],
    ],
    [
      'but those for authors',
      { ...two, 'tools/gen/main.go': main, 'examples/a/main.go': main },
      {},
      ['web=server', 'server=server', 'admin=admin'],
    ],
    ['those for authors if there are no others', { 'go.mod': mod(), 'examples/a/main.go': main }, {}, ['web=a', 'a=a']],
    [
      'one for authors that is started',
      { ...two, 'tools/gen/main.go': main, Procfile: 'gen: gen' },
      {},
      ['web=server', 'server=server', 'admin=admin', 'gen=gen'],
    ],
    [
      'BP_GO_TARGETS',
      two,
      { BP_GO_TARGETS: './cmd/admin:./cmd/server' },
      ['web=admin', 'admin=admin', 'server=server'],
    ],
    ['BP_GO_TARGETS without ./', two, { BP_GO_TARGETS: 'cmd/admin' }, ['web=admin', 'admin=admin']],
    ['GOOGLE_BUILDABLE', two, { GOOGLE_BUILDABLE: './cmd/admin' }, ['web=admin', 'admin=admin']],
    ['RAILPACK_GO_BIN', two, { RAILPACK_GO_BIN: 'admin' }, ['web=admin', 'admin=admin']],
    [
      'Heroku’s comment',
      { ...two, 'go.mod': mod('// +heroku install ./cmd/admin\n') },
      {},
      ['web=admin', 'admin=admin'],
    ],
    [
      'Heroku’s comment with a pattern',
      { ...two, 'go.mod': mod('// +heroku install ./cmd/...\n') },
      {},
      ['web=admin', 'admin=admin', 'server=server'],
    ],
    [
      'two of one name',
      { 'go.mod': mod(), 'a/run/main.go': main, 'b/run/main.go': main },
      {},
      ['web=a-run', 'a-run=a-run', 'b-run=b-run'],
    ],
    [
      'a module below the root',
      { 'back/go.mod': mod(), 'back/cmd/api/main.go': main },
      { BP_GO_TARGETS: 'back/cmd/api' },
      ['web=api', 'api=api'],
    ],
    [
      'a workspace',
      { 'go.work': 'use ./a\nuse ./b\n', 'a/go.mod': mod(), 'a/main.go': main, 'b/go.mod': mod(), 'b/main.go': main },
      {},
      ['web=a', 'a=a', 'b=b'],
    ],
    [
      'a workspace that is made',
      { 'go.mod': mod(), 'a/go.mod': mod(), 'a/main.go': main },
      { BP_GO_WORK_USE: './a' },
      ['web=a', 'a=a'],
    ],
  ])('%s', async (_name, app, env, expected) => expect(await typesOf(app, env)).toEqual(expected))

  it.each<[string, Tree, Record<string, string>, RegExp]>([
    ['a library', { 'go.mod': mod(), 'lib.go': 'package lib\n' }, {}, /Error: go\.mod: there is no main package/],
    [
      'a module that may hold a function, and nothing says which',
      {
        'go.mod': `${mod()}require github.com/GoogleCloudPlatform/functions-framework-go v1.9.2\n`,
        'go.sum': '',
        'function.go': 'package function\n',
      },
      {},
      /there is no main package[\s\S]*set GOOGLE_FUNCTION_TARGET/,
    ],
    [
      'a target that is a library',
      { ...two },
      { BP_GO_TARGETS: './lib' },
      /Error: BP_GO_TARGETS: there is no main package in "\.\/lib"/,
    ],
    [
      'a target that is not there',
      { ...two },
      { BP_GO_TARGETS: './cmd/wbe' },
      /Error: BP_GO_TARGETS: .*no Go files in \.\/cmd\/wbe/s,
    ],
    ['a workspace without a module', { 'go.work': 'use ./a\n' }, {}, /Error: go\.work:1: there is no a\/go\.mod/],
  ])('%s', async (_name, app, env, message) => expect(await typesOf(app, env)).toMatch(message))

  it('are linked where command lines look for them', async () => {
    const { project } = await goProject({ ...web, Procfile: 'web: ./bin/shop -v\njob: ../shop && ./out' })
    await project.build()
    const target = join(project.layersDir, 'programs/bin/shop')
    expect(await readlink(join(project.appDir, 'bin/shop'))).toBe(target)
    expect(await readlink(join(project.appDir, 'out'))).toBe(target)
  })

  it('are those of the previous image as long as they are the same', async () => {
    const { project } = await goProject(web)
    const first = await project.build()
    await project.nextBuild({ 'README.md': 'changed' })
    const second = await project.build()
    expect(await readdir(project.layersDir)).not.toContain('programs')
    expect(second.layers['programs']?.metadata).toEqual(first.layers['programs']?.metadata)
    await project.nextBuild({ 'main.go': `${main}// changed\n` })
    await project.build()
    expect(await readdir(project.layersDir)).toContain('programs')
  })

  it('bring a bill of materials with what was compiled into them', async () => {
    const { fake, project } = await goProject(web)
    fake.dependencies.push('dep\tgithub.com/a/old\tv1.0.0', '=>\tgithub.com/b/fork\tv1.2.0\th1:x=')
    await project.build()
    const { components } = JSON.parse(await project.read('layers/programs.sbom.cdx.json')) as {
      components: { purl: string }[]
    }
    expect(components.map(({ purl }) => purl)).toEqual([
      'pkg:golang/github.com/b/fork@v1.2.0',
      'pkg:golang/github.com/go-chi/chi/v5@v5.2.1',
      'pkg:golang/stdlib@1.26.0',
    ])
  })
})

describe('go build', () => {
  const built = async (app: Tree = {}, env: Record<string, string> = {}) => {
    const { fake, project } = await goProject({ ...web, ...app }, env)
    await project.build()
    const note = JSON.parse(await project.read('layers/programs/bin/shop')) as Record<string, string>
    return { command: fake.commands.find(command => command.startsWith('go build')), note }
  }

  it('leaves out paths, the repository’s state and what debuggers read, and C', async () => {
    const { command, note } = await built()
    expect(command).toBe('go build -o shop -trimpath -buildvcs=false -ldflags=-s -w example.com/shop')
    expect(note).toMatchObject({ CGO_ENABLED: '0', GOFLAGS: '-modcacherw' })
  })

  it.each<[Record<string, string>, string]>([
    [{ BP_GO_BUILD_LDFLAGS: '-X main.v=1' }, '-trimpath -buildvcs=false -ldflags=-s -w -X main.v=1'],
    [
      { GOOGLE_GOLDFLAGS: '-X main.v=1', GOOGLE_GOGCFLAGS: 'all=-N -l' },
      '-trimpath -buildvcs=false -ldflags=-s -w -X main.v=1 -gcflags=all=-N -l',
    ],
    [{ GO_LINKER_SYMBOL: 'main.v', GO_LINKER_VALUE: '2' }, '-trimpath -buildvcs=false -ldflags=-s -w -X main.v=2'],
    [
      { BP_GO_BUILD_FLAGS: `-tags=a,b -ldflags="-X 'main.v=a b'" -v` },
      `-trimpath -buildvcs=false -ldflags=-s -w -tags=a,b -ldflags=-X 'main.v=a b' -v`,
    ],
    [{ GOFLAGS: '-trimpath=false -buildvcs=true -ldflags=-w' }, ''],
  ])('takes %j', async (env, flags) => {
    expect((await built({}, env)).command).toBe(`go build -o shop ${flags} example.com/shop`.replace('  ', ' '))
  })

  it('refuses a quote that is not closed', async () => {
    const { project } = await goProject(web, { BP_GO_BUILD_FLAGS: '-ldflags="-X' })
    expect((await project.build()).output).toContain('Error: BP_GO_BUILD_FLAGS: a quote is not closed')
  })

  it.each<[Record<string, string>, string]>([
    [{}, '1'],
    [{ CGO_ENABLED: '0' }, '0'],
  ])('uses cgo if a package has C in it, unless told not to: %j', async (env, expected) => {
    expect((await built({ 'c.go': 'package main\nimport "C"\n' }, env)).note).toMatchObject({ CGO_ENABLED: expected })
  })

  const withC = { ...web, 'c.go': 'package main\nimport "C"\n' }

  it('brings the shared libraries that the run image lacks, and no others', async () => {
    const { fake, project } = await goProject(withC)
    fake.linked += '\tlibvips.so.42 => /lib/x86_64-linux-gnu/libvips.so.42 (0x1)\n'
    fake.owners['/usr/lib/x86_64-linux-gnu/libvips.so.42'] =
      'libvips42:amd64: /usr/lib/x86_64-linux-gnu/libvips.so.42\n'
    fake.debian.packages['libvips42'] = { version: '8.16', files: { 'usr/lib/x86_64-linux-gnu/libvips.so.42': 'ELF' } }
    const { output, layers } = await project.build()
    expect(output).toContain('Creating the libraries libvips42')
    expect(layers['libraries']?.types).toEqual({ launch: true, build: false, cache: false })
    expect(await project.read('layers/libraries/env.launch/LD_LIBRARY_PATH.prepend')).toBe(
      join(project.layersDir, 'libraries/usr/lib/x86_64-linux-gnu'),
    )
  })

  it('fails if a shared library is nowhere', async () => {
    const { fake, project } = await goProject(withC)
    fake.linked += '\tlibghost.so.1 => not found\n'
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toContain('Error: shop is linked with libghost.so.1, which is not in any package of the build')
  })

  it('adds missing sums, with a warning, if there is no go.sum', async () => {
    const required = { 'go.mod': mod('require github.com/go-chi/chi/v5 v5.2.1\n') }
    expect((await built(required)).note).toMatchObject({ GOFLAGS: '-modcacherw -mod=mod' })
    for (const name of ['go.sum', 'vendor/modules.txt']) {
      expect((await built({ ...required, [name]: '' })).note).toMatchObject({ GOFLAGS: '-modcacherw' })
    }
  })

  it('is followed by a word on a port that the program has of its own', async () => {
    const { project } = await goProject({ ...web, 'main.go': `${main}var e = http.ListenAndServe(":8000", nil)\n` })
    expect((await project.build()).output).toContain('Warning: main.go:4 always listens on port 8000 and ignores PORT')
  })

  it('has the credentials of a netrc binding', async () => {
    const { project } = await goProject(web)
    const binding = join(project.root, 'platform/bindings/private')
    await mkdir(binding, { recursive: true })
    await writeFile(join(binding, 'type'), 'netrc\n')
    await writeFile(join(binding, '.netrc'), 'machine example.com login me password secret\n')
    await project.build()
    const note = JSON.parse(await project.read('layers/programs/bin/shop')) as { NETRC: string }
    expect(note.NETRC).toBe(join(binding, '.netrc'))
  })

  it('has private modules by SSH from hosts that the netrc binding does not name', async () => {
    const GOPRIVATE = 'example.com,git.example.org/acme/*'
    const { project } = await goProject(web, { SSH_AUTH_SOCK: '/run/agent', GOPRIVATE })
    const binding = join(project.root, 'platform/bindings/private')
    await mkdir(binding, { recursive: true })
    await writeFile(join(binding, 'type'), 'netrc\n')
    await writeFile(join(binding, '.netrc'), 'machine example.com login me password secret\n')
    const { output } = await project.build()
    expect(output).toContain('git reads by SSH, as GOPRIVATE names them: git.example.org/acme/\n')
    const note = JSON.parse(await project.read('layers/programs/bin/shop')) as { insteadOf: string[] }
    expect(note.insteadOf).toEqual(['https://git.example.org/acme/'])
  })

  it.each([
    ['git@example.com: Permission denied (publickey).', '--ssh default'],
    ['Host key verification failed.\nfatal: could not read Username for', 'known_hosts'],
    ['missing go.sum entry for module', 'run "go mod tidy"'],
    ['inconsistent vendoring in /workspace', 'run "go mod vendor"'],
    ['fatal: could not read Username for', 'set GOPRIVATE'],
    ['fatal error: zlib.h: No such file or directory', 'headers are missing'],
    ['main.go:11:12: pattern all:web/dist: no matching files found', 'BP_NODE_PROJECT_PATH=web'],
    ['./main.go:11:31: undefined: hello', 'commit the generated files'],
    ['./main.go:9:2: Aspirin.String undefined (type Pill has no field or method String)', 'commit the generated files'],
  ])('says what to do about %s', async (said, fix) => {
    const { fake, project } = await goProject(web)
    fake.buildError = said
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toContain('Error: go build failed with exit status 1')
    expect(output).toContain(fix)
  })
})

describe('the run image', () => {
  it.each<[string, Tree, Record<string, string>, boolean]>([
    ['is not needed by programs without C', {}, {}, true],
    ['is needed by programs with C', { 'main.go': `${main}import "C"\n` }, {}, false],
    ['is needed with cgo, as Go’s own library then has C', {}, { CGO_ENABLED: '1' }, false],
    ['is not needed where C is left out', { 'main.go': `${main}import "C"\n` }, { CGO_ENABLED: '0' }, true],
    ['is needed by programs that start others', { 'main.go': `${main}import "os/exec"\n` }, {}, false],
  ])('%s', async (_name, app, env, expected) => {
    const { project } = await goProject({ ...web, ...app }, env)
    const { launch, output } = await project.build()
    const labels = (launch as { labels?: unknown[] } | undefined)?.labels ?? []
    expect(labels, output).toEqual(expected ? [{ key: 'io.bale.run-image.needs', value: 'nothing' }] : [])
  })
})

describe('sources without a go.mod', () => {
  const old = {
    'main.go': 'package main\n\nimport (\n\t"fmt"\n\t"example.com/me/old/greet"\n)\n',
    'greet/greet.go': 'package greet\n',
  }

  it('get one, by the path that they import each other by', async () => {
    const { fake, project } = await goProject(old)
    const { output } = await project.build()
    expect(fake.commands).toContain('go mod init example.com/me/old')
    expect(output).toContain(
      'Warning: there is no go.mod: the sources are compiled as example.com/me/old, with the newest version',
    )
  })

  it('are compiled in a GOPATH if they bring what they import', async () => {
    const { fake, project } = await goProject(
      { ...old, 'vendor/a/a.go': 'package a\n' },
      { BP_GO_BUILD_IMPORT_PATH: 'me/app' },
    )
    const { output, exitCode } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(fake.commands.join('\n')).not.toContain('mod init')
    expect(output).toContain('compiled as me/app in a GOPATH')
  })

  it('refuse an import path that leads out of it', async () => {
    const { project } = await goProject({ ...old, 'vendor/a/a.go': '' }, { BP_GO_BUILD_IMPORT_PATH: '../../etc' })
    expect((await project.build()).output).toContain(
      'Error: BP_GO_BUILD_IMPORT_PATH: "../../etc" is not an import path',
    )
  })
})

describe('the image', () => {
  const app: Tree = {
    ...web,
    'main.go': `package main\n\n//go:embed static/site.css\nvar css string\n`,
    'go.sum': '',
    'static/site.css': '',
    'static/logo.svg': '',
    'templates/page.html': '',
    'lib/lib_test.go': '',
    'lib/testdata/input': '',
    'vendor/modules.txt': '',
    'README.md': '',
    'posts/first.md': '',
    '.github/workflows/ci.yaml': '',
    '.env': '',
    'config.yaml': '',
    Procfile: 'web: shop',
    Makefile: '',
  }
  const kept = async (env: Record<string, string> = {}) => {
    const { project } = await goProject(app, env)
    const { output, exitCode } = await project.build()
    expect(exitCode, output).toBe(0)
    const entries = await readdir(project.appDir, { recursive: true, withFileTypes: true })
    return entries
      .filter(e => !e.isDirectory())
      .map(e => join(e.parentPath, e.name).slice(project.appDir.length + 1))
      .toSorted()
  }

  it('holds no source, and nothing that is in the program already', async () => {
    expect(await kept()).toEqual([
      '.env',
      'Procfile',
      'config.yaml',
      'posts/first.md',
      'static/logo.svg',
      'templates/page.html',
    ])
  })

  it.each<[Record<string, string>, string[]]>([
    [
      { BP_KEEP_FILES: 'static/*.svg:templates:./config.yaml' },
      ['Procfile', 'config.yaml', 'static/logo.svg', 'templates/page.html'],
    ],
    [{ BP_KEEP_FILES: 'static/**' }, ['Procfile', 'static/logo.svg', 'static/site.css']],
    [{ BP_EXCLUDE_FILES: 'posts:*.yaml' }, ['.env', 'Procfile', 'static/logo.svg', 'templates/page.html']],
    [{ GOOGLE_CLEAR_SOURCE: 'true' }, ['Procfile']],
  ])('%j', async (env, expected) => expect(await kept(env)).toEqual(expected))

  it('holds nothing of the front end that Node.js has built for it', async () => {
    const { project } = await goProject({
      ...web,
      'package.json': '{"scripts":{"build":"vite build"},"devDependencies":{"vite":"1"}}',
      'node_modules/vite/package.json': '',
      'ui/main.tsx': '',
      'vite.config.ts': '',
      'dist/index.html': '',
    })
    await project.build()
    expect((await readdir(project.appDir, { recursive: true })).toSorted()).toEqual(['dist', 'dist/index.html'])
  })

  it('has a default port', async () => {
    const { project } = await goProject(web)
    await project.build()
    expect(await project.read('layers/programs/env.launch/PORT.default')).toBe('8080')
  })
})
