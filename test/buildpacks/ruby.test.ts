import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { buildPackages, runPackages } from '../../buildpacks/ruby/native.ts'
import { findGemfile, parseLock, readLock } from '../../buildpacks/ruby/lock-file.ts'
import { readCredentials } from '../../buildpacks/ruby/credentials.ts'
import { mayHaveAssets, removeTools } from '../../buildpacks/ruby/rails.ts'
import { ruby } from '../../buildpacks/ruby/ruby.ts'
import { formatConfig, parseConfig, readSettings } from '../../buildpacks/ruby/settings.ts'
import { findStart, mayServe, otherProcesses } from '../../buildpacks/ruby/start.ts'
import { checkVersion, toRequirement, wantedRuby } from '../../buildpacks/ruby/version.ts'
import { type BuildContext, Log } from '../../buildpacks/sdk/index.ts'
import { appOf } from '../helpers/app.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { type Tree, writeTree } from '../helpers/tree.ts'
import { openProject } from './sdk/project.ts'

function listen() {
  let text = ''
  const note = (more: string): void => void (text += more)
  return { log: new Log({ stdout: note, stderr: note }), said: () => text }
}

const dir = join(import.meta.dirname, '../../buildpacks/ruby')
type Env = Record<string, string>

describe('detection', () => {
  it.each<[Tree, string]>([
    [{ Gemfile: '' }, 'Ruby: Gemfile'],
    [{ 'gems.rb': '' }, 'Ruby: gems.rb'],
    [{ 'config.ru': '' }, 'Ruby: config.ru'],
    [{ 'app.rb': '' }, 'Ruby: app.rb'],
    [{ Gemfile: '', 'config.ru': '' }, 'Ruby: Gemfile and config.ru'],
    [{ 'tool.rb': '', Procfile: 'web: ruby tool.rb\n' }, 'Ruby: the Procfile starts ruby, and tool.rb'],
  ])('passes: %j', async (app, output) => {
    const project = await openProject({ buildpack: ruby, dir, app: app as Record<string, string> })
    expect(await project.detect()).toMatchObject({
      exitCode: 0,
      output: `${output}\n`,
      plan: { provides: [{ name: 'ruby' }] },
    })
  })

  it('does not pass for a script that nothing starts', async () => {
    const project = await openProject({ buildpack: ruby, dir, app: { 'tool.rb': '' } })
    expect(await project.detect()).toMatchObject({ exitCode: 100 })
  })
})

describe('the version', () => {
  const outcome = async (tree: Tree, env: Env = {}, releases: [string, ...string[]] = ['3.3.14']) => {
    const app = await appOf(tree)
    const gemfile = await findGemfile(app, env)
    const wanted = await wantedRuby({ app, env }, gemfile?.file, gemfile && (await readLock(app, gemfile)))
    return checkVersion(wanted, releases)
  }

  it('may be that of an older release of Debian', async () => {
    const releases: [string, string] = ['3.3.14', '3.1.2']
    expect(await outcome({ Gemfile: "ruby '~> 3.1.0'\n" }, {}, releases)).toEqual([])
    expect(await failureOf(outcome({ Gemfile: "ruby '~> 3.0.0'\n" }, {}, ['3.3.14', '3.1']))).toMatchObject({
      fix: expect.stringContaining('3.1, of an older release of Debian: write ruby "~> 3.1"') as string,
    })
  })

  it.each([
    ['3.3', '~> 3.3.0'],
    ['3', '~> 3.0'],
    ['3.x', '~> 3.0'],
    ['3.3.*', '~> 3.3.0'],
    ['ruby-3.3.1', '~> 3.3.1'],
    ['3.3.1p55', '~> 3.3.1'],
    ['>= 3.2, < 3.4', '>= 3.2, < 3.4'],
    ['3.4.0-preview1', '= 3.4.0.preview1'],
    ['latest', '>= 0'],
    ['three', undefined],
    ['', undefined],
    ['jruby-9.4', undefined],
  ])('%s is the requirement %s', (text, requirement) => {
    expect(toRequirement(text, 'patches')).toBe(requirement)
  })

  it.each<[Tree, Env]>([
    [{}, {}],
    [{ Gemfile: 'ruby "~> 3.3"\n' }, {}],
    [{ Gemfile: "ruby '>= 3.1', '< 3.4' # ours\n" }, {}],
    [{ Gemfile: 'ruby("3.3.14")\n' }, {}],
    [{ Gemfile: 'ruby file: ".ruby-version"', '.ruby-version': '3.3.14\n' }, {}],
    [{ Gemfile: 'ruby RUBY_VERSION\n' }, {}],
    [{ '.ruby-version': 'ruby-3.3.0' }, {}],
    [{ '.tool-versions': 'ruby 3.3.5\n' }, {}],
    [{ 'mise.toml': '[tools]\nruby = "3.3"\n' }, {}],
    [{ Gemfile: '', 'Gemfile.lock': 'RUBY VERSION\n   ruby 3.3.1p55\n' }, {}],
    [{}, { BP_MRI_VERSION: '3.3.*' }],
    [{}, { RAILPACK_RUBY_VERSION: '3.3' }],
  ])('is met for %j and %j', async (tree, env) => {
    expect(await outcome(tree, env)).toEqual([])
  })

  it.each<[Tree, Env, string]>([
    [{ Gemfile: 'source "x"\nruby "3.2.2"\n' }, {}, 'Gemfile:2'],
    // Bundler refuses every other patch.
    [{ Gemfile: 'ruby "3.3.1"\n' }, {}, 'Gemfile:1'],
    [{ Gemfile: 'ruby file: ".ruby-version"', '.ruby-version': '3.3.1' }, {}, 'Gemfile:1, .ruby-version'],
    [{ '.ruby-version': '3.4' }, {}, '.ruby-version'],
    [{ '.ruby-version': '3.3.15' }, {}, '.ruby-version'],
    [{ Gemfile: '', 'Gemfile.lock': 'RUBY VERSION\n   ruby 2.7.8p225\n' }, {}, 'Gemfile.lock RUBY VERSION'],
    [{ '.ruby-version': '3.3' }, { BP_MRI_VERSION: '3.1.*' }, 'BP_MRI_VERSION'],
    [{ Gemfile: 'ruby "~> 3.4"\n' }, { BP_MRI_VERSION: '3.3.*' }, 'Gemfile:1'],
  ])('is refused with its place for %j and %j', async (tree, env, where) => {
    const failure = await failureOf(outcome(tree, env))
    expect(failure).toMatchObject({ where })
    expect((failure as { fix?: string }).fix).toMatch(/^the nearest is 3\.3\.14, the version of Debian 13: write /)
  })

  it.each<[Tree, Env, string, string]>([
    [{ '.ruby-version': 'jruby-9.4.0.0' }, {}, '.ruby-version', 'jruby-9.4.0.0 is not supported'],
    [
      { Gemfile: 'ruby "3.1.0", engine: "jruby", engine_version: "9.4"' },
      {},
      'Gemfile:1',
      'the engine jruby is not supported',
    ],
    [{ Gemfile: 'ruby file: ".ruby-version"' }, {}, 'Gemfile:1', '.ruby-version has no version of Ruby'],
    [{}, { BP_MRI_VERSION: 'newest' }, 'BP_MRI_VERSION', '"newest" is not a version of Ruby'],
  ])('is not a version in %j and %j', async (tree, env, where, message) => {
    expect(await failureOf(outcome(tree, env))).toMatchObject({ where, message })
  })

  it('is warned of where a second place asks for another', async () => {
    expect(await outcome({ Gemfile: 'ruby "~> 3.3"\n', '.ruby-version': '3.2.0' })).toEqual([
      '.ruby-version asks for 3.2.0, but Gemfile:1 for ~> 3.3: the image has 3.3.14',
    ])
  })
})

describe('the lock file', () => {
  const text =
    'GEM\r\n  remote: https://rubygems.org/\r\n  specs:\r\n    nokogiri (1.18.2)\r\n      racc (~> 1.4)\r\n    nokogiri (1.18.2-x86_64-linux-gnu)\r\n    racc (1.8.1)\r\n\r\nPLATFORMS\r\n  ruby\r\n\r\nRUBY VERSION\r\n   ruby 3.3.1p55\r\n\r\nBUNDLED WITH\r\n   2.5.9\r\n'

  it('names Ruby, Bundler and the gems, whatever its line ends', () => {
    const lock = parseLock(text, 'Gemfile.lock')
    expect(lock).toMatchObject({ ruby: '3.3.1p55', bundler: '2.5.9' })
    expect([...lock.gems.keys()]).toEqual(['nokogiri', 'racc'])
    expect([...(lock.gems.get('nokogiri') ?? [])]).toEqual(['ruby', 'x86_64-linux-gnu'])
  })

  it('is gems.locked beside gems.rb, and beside what BUNDLE_GEMFILE names', async () => {
    const app = await appOf({ 'gems.rb': '', Gemfile: '' })
    expect(await findGemfile(app, {})).toEqual({ file: 'gems.rb', lockFile: 'gems.locked' })
    expect(await findGemfile(app, { BUNDLE_GEMFILE: 'ci/Gemfile' })).toEqual({
      file: 'ci/Gemfile',
      lockFile: 'ci/Gemfile.lock',
    })
  })
})

describe('the settings of Bundler', () => {
  it('are lines, with or without quotes, and lists', () => {
    expect(
      parseConfig('---\nBUNDLE_JOBS: "4"\nBUNDLE_WITHOUT:\n  - a\n  - b\n# no\nBUNDLE_BUILD__PG: --with-x=1\n', 'c'),
    ).toEqual({
      BUNDLE_JOBS: '4',
      BUNDLE_WITHOUT: 'a:b',
      BUNDLE_BUILD__PG: '--with-x=1',
    })
    expect(formatConfig({ BUNDLE_PATH: '/a "b"' })).toBe('---\nBUNDLE_PATH: "/a \\"b\\""\n')
  })

  it('are an error with its line where they are something else', () => {
    expect(() => parseConfig('---\nnonsense\n', '.bundle/config')).toThrow('is not a setting of Bundler')
  })

  it('leave development and test out, unless the user names other groups', async () => {
    const without = async (tree: Tree, env: Env) => (await readSettings(await appOf(tree), env)).without
    expect(await without({}, {})).toBe('development:test')
    expect(await without({}, { BUNDLE_WITHOUT: 'test' })).toBe('test')
    expect(await without({ '.bundle/config': 'BUNDLE_WITHOUT: "ci test"\n' }, { BUNDLE_WITHOUT: 'test' })).toBe(
      'ci:test',
    )
  })

  it('send no gem elsewhere, and change the digest only where they change gems', async () => {
    const settings = async (config: string, env: Env = {}) =>
      readSettings(await appOf(config === '' ? {} : { '.bundle/config': config }), env)
    const { others, digest } = await settings('')
    expect((await settings('BUNDLE_PATH: "vendor/bundle"\nBUNDLE_JOBS: "9"\n')).others).toEqual({ BUNDLE_JOBS: '9' })
    expect(others).toEqual({})
    const same: Env[] = [{ BUNDLE_JOBS: '9' }, { BUNDLE_GEMS__EXAMPLE__COM: 'user:token' }, { BUNDLE_PATH: 'x' }]
    for (const env of same) {
      expect((await settings('', env)).digest).toBe(digest)
    }
    const other: Env[] = [
      { BUNDLE_BUILD__PG: '--a' },
      { BUNDLE_MIRROR__ALL: 'http://m' },
      { BUNDLE_FORCE_RUBY_PLATFORM: 'true' },
      { CFLAGS: '-O3' },
    ]
    for (const env of other) {
      expect((await settings('', env)).digest).not.toBe(digest)
    }
    const mirror = (user: string) => settings('', { BUNDLE_MIRROR__ALL: `https://${user}@mirror.example` })
    expect((await mirror('a:1')).digest).toBe((await mirror('b:2')).digest)
  })
})

describe('native packages', () => {
  const gem = (name: string, platform = 'ruby') => ({ name, version: '1', platform, source: 'https://x/' })

  it('are those of gems that are compiled, and of what gems load', () => {
    expect(buildPackages([gem('pg'), gem('mysql2', 'x86_64-linux')])).toEqual(['libpq-dev'])
    expect(runPackages([gem('mini_magick')])).toEqual(['imagemagick'])
    expect(runPackages([gem('mini_magick'), gem('image_processing'), gem('ruby-vips')])).toEqual(['libvips42t64'])
    expect(buildPackages([gem('constructor')])).toEqual([])
  })
})

describe('the start', () => {
  const facts = async (tree: Tree, ...gems: string[]) => ({
    app: await appOf(tree),
    gems: new Set(gems),
    hasGemfile: gems.length > 0,
    env: {},
  })

  it.each<[Tree, string[], string]>([
    [
      { 'config/application.rb': '', 'bin/rails': '', 'config.ru': '' },
      ['railties', 'puma'],
      'ruby bin/rails server --binding 0.0.0.0 --port ${PORT:-8080}',
    ],
    [{ 'config/application.rb': '' }, ['railties'], 'bundle exec rails server --binding 0.0.0.0 --port ${PORT:-8080}'],
    [{ 'config.ru': '' }, ['rack', 'puma'], 'bundle exec puma --bind tcp://0.0.0.0:${PORT:-8080}'],
    [
      { 'config.ru': '', 'config/unicorn.rb': '' },
      ['unicorn'],
      'bundle exec unicorn --listen 0.0.0.0:${PORT:-8080} --config-file config/unicorn.rb',
    ],
    [{ 'config.ru': '' }, ['rackup', 'webrick'], 'bundle exec rackup --host 0.0.0.0 --port ${PORT:-8080}'],
    [{ 'app.rb': '' }, ['sinatra'], 'bundle exec ruby app.rb'],
    [{ 'app.rb': '' }, [], 'ruby app.rb'],
    [{ Rakefile: '' }, ['rake'], 'bundle exec rake'],
  ])('of %j with %j', async (tree, gems, command) => {
    expect((await findStart(await facts(tree, ...gems)))?.command).toBe(command)
  })

  describe('of a function of the Functions Framework', () => {
    const start = async (source: string, env: Record<string, string> = {}) =>
      findStart({ ...(await facts({ 'app.rb': source }, 'functions_framework')), env })
    const serves = (name: string) => `bundle exec functions-framework-ruby --target ${name} --bind 0.0.0.0`

    it.each([
      ['FunctionsFramework.http "hello" do |request|\nend\n# FunctionsFramework.http "old"\n', {}, serves('hello')],
      ["FunctionsFramework.cloud_event('seen') do |event|\nend\n", {}, serves('seen')],
      ['FunctionsFramework.http do |request|\nend\n', {}, serves('function')],
      ['', { GOOGLE_FUNCTION_TARGET: 'b' }, serves('b')],
    ])('%j with %j', async (source, env, command) => {
      expect((await start(source, env))?.command).toBe(command)
    })

    it('is an error where there are several, and a plain program where there is none', async () => {
      const several = start('FunctionsFramework.http "a" do |r|\nend\nFunctionsFramework.http "b" do |r|\nend\n')
      expect(await failureOf(several)).toMatchObject({ where: 'app.rb', message: 'there are several functions: a, b' })
      expect((await start('puts 1\n'))?.command).toBe('bundle exec ruby app.rb')
    })

    it('is not chosen for the user among several where a Procfile starts one', async () => {
      const source = 'FunctionsFramework.http "a" do |r|\nend\nFunctionsFramework.http "b" do |r|\nend\n'
      const procfile = 'web: bundle exec functions-framework-ruby --target b\n'
      const given = await facts({ 'app.rb': source, Procfile: procfile }, 'functions_framework')
      expect((await findStart(given))?.command).toBe('bundle exec ruby app.rb')
    })
  })

  it('is an error for config.ru without a server, and nothing where nothing is there', async () => {
    expect(await failureOf(findStart(await facts({ 'config.ru': '' }, 'rack')))).toMatchObject({
      where: 'config.ru',
      fix: 'add gem "puma" to the Gemfile: bundle add puma',
    })
    expect(await findStart(await facts({ 'lib/tool.rb': '' }))).toBeUndefined()
  })

  it.each<[Tree, string[], string | undefined]>([
    [{}, ['good_job'], 'bundle exec good_job start "$@"'],
    [{ 'bin/jobs': '' }, ['solid_queue'], 'bundle exec ruby bin/jobs "$@"'],
    [{ 'config/application.rb': '' }, ['railties', 'delayed_job'], 'bundle exec rake jobs:work "$@"'],
    // Its task comes with Rails.
    [{}, ['delayed_job'], undefined],
  ])('has a worker for the gem of jobs: %j with %j', async (tree, gems, command) => {
    const found = await otherProcesses(await facts(tree, ...gems))
    expect(found.find(({ type }) => type === 'worker')?.command[2]).toBe(command)
  })

  it('has a process that changes the database with Rails', async () => {
    const found = await otherProcesses(
      await facts({ 'config/application.rb': '', 'bin/rails': '' }, 'railties', 'activerecord'),
    )
    expect(found.find(({ type }) => type === 'migrate')?.command[2]).toBe('ruby bin/rails db:migrate "$@"')
  })

  it('is there beside a Procfile without a web process for what answers requests alone', async () => {
    expect(await mayServe(await facts({ 'config/application.rb': '' }, 'railties'))).toBe(true)
    expect(await mayServe(await facts({ 'config.ru': '' }, 'puma'))).toBe(true)
    expect(await mayServe(await facts({ 'config.ru': '' }, 'rack'))).toBe(false)
    expect(await mayServe(await facts({ 'main.rb': '' }, 'redis'))).toBe(false)
  })

  it('has assets with Rails, or with a task of that name', async () => {
    const may = async (tree: Tree, ...gems: string[]) => mayHaveAssets(await facts(tree, ...gems))
    expect(await may({ 'config/application.rb': '' }, 'railties')).toBe(true)
    expect(await may({ Rakefile: 'require "hanami/rake_tasks"\n' }, 'rake', 'hanami-assets')).toBe(true)
    expect(await may({ Rakefile: 'require "hanami/rake_tasks"\n' }, 'rake')).toBe(false)
    expect(await may({ Rakefile: 'namespace :assets do\nend\n' }, 'rake')).toBe(true)
    expect(await may({ Rakefile: '# no assets here\n' }, 'rake')).toBe(false)
    expect(await may({ Rakefile: 'namespace :assets\n' })).toBe(false)
  })

  it('takes away what is for the compilation of assets alone', async () => {
    const app = await appOf({ 'node_modules/a/index.js': '', 'package.json': '{}' })
    const remove = (env: Env) => removeTools({ app, env, log: listen().log } as unknown as BuildContext)
    await remove({ BALE_BUILD_ONLY_PATHS: 'node_modules', BP_KEEP_FILES: 'node_modules' })
    expect(await app.has('node_modules/a/index.js')).toBe(true)
    await remove({})
    expect(await app.has('node_modules/a/index.js')).toBe(true)
    await remove({ BALE_BUILD_ONLY_PATHS: 'node_modules' })
    expect(await app.hasDirectory('node_modules')).toBe(false)
  })

  it('has a console, rake and a worker beside it', async () => {
    const found = await otherProcesses(await facts({ Rakefile: '' }, 'rake', 'sidekiq'))
    expect(found.map(({ type, command }) => [type, command[2]])).toEqual([
      ['console', 'bundle exec ruby -r irb -e IRB.start "$@"'],
      ['rake', 'bundle exec rake "$@"'],
      ['worker', 'bundle exec sidekiq "$@"'],
    ])
  })
})

describe('credentials of bindings', () => {
  const read = async (files: Tree) => {
    const platformDir = await temporaryDirectory()
    await writeTree(join(platformDir, 'bindings/gems'), { type: 'bundler', ...files })
    return readCredentials({ env: {}, platformDir, log: listen().log })
  }

  it('are the first binding’s where two have one for a host, with a warning', async () => {
    const platformDir = await temporaryDirectory()
    const binding = (password: string) => ({ type: 'bundler', 'a.test': `u:${password}` })
    await writeTree(join(platformDir, 'bindings/first'), binding('1'))
    await writeTree(join(platformDir, 'bindings/same'), binding('1'))
    await writeTree(join(platformDir, 'bindings/second'), { ...binding('2'), 'b.test': 'token' })
    const { log, said } = listen()
    expect(await readCredentials({ env: {}, platformDir, log })).toEqual({
      BUNDLE_A__TEST: 'u:1',
      BUNDLE_B__TEST: 'token',
    })
    expect(said()).toContain(
      'BUNDLE_A__TEST of the binding second of the type bundler has no effect: the binding first comes first',
    )
    expect(said()).not.toContain('binding same')
  })

  it('are for hosts, or a file of Bundler with nothing else', async () => {
    expect(await read({ 'my-gems.example.com': 'u:p\n' })).toEqual({ BUNDLE_MY___GEMS__EXAMPLE__COM: 'u:p' })
    expect(await read({ config: '---\nBUNDLE_A__TEST: "u:p"\n' })).toEqual({ BUNDLE_A__TEST: 'u:p' })
  })

  it.each<[Tree, object]>([
    [
      { config: 'BUNDLE_PATH: "/x"\n' },
      { message: 'BUNDLE_PATH is not a credential', where: 'the binding gems/config' },
    ],
    [{ 'a/b': 'x' }, { message: 'holds no credential', where: 'the binding gems/a' }],
    [{ a_b: 'x' }, { message: 'is not a host name', where: 'the binding gems/a_b' }],
    [{ 'a.test': 'u:p\nBUNDLE_PATH: /x' }, { message: 'holds no credential', where: 'the binding gems/a.test' }],
  ])('%j is refused', async (files, error) => expect(await failureOf(read(files))).toMatchObject(error))
})
