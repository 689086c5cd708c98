import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bale, digestIn, serveAndAsk } from './helpers/bale.ts'
import { type GemServer, makeGems, serveGems } from './helpers/gem-server.ts'
import { serveGit } from './helpers/git-remote.ts'
import { readImageFiles } from './helpers/image-files.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { type Tree, writeTree } from './helpers/tree.ts'

// The gems are Debian's packages of Sinatra, Rack, Puma and Rails, packed by the real RubyGems, and some of our own; the real
// Bundler fetches them from an index on loopback, as RubyGems' own is not reachable from everywhere.

let gems: GemServer
/** The same for those who have a login. */
let closed: GemServer

/** The Bundler of the Ruby that makes the gems, under another version. */
const otherBundler = `require 'fileutils'
home = $LOAD_PATH.find { |dir| File.exist?("#{dir}/bundler.rb") }
own = Gem::Specification.find_by_name('bundler')
FileUtils.mkdir_p(%w[lib exe])
FileUtils.cp_r(["#{home}/bundler.rb", "#{home}/bundler"], 'lib')
FileUtils.cp(Dir["#{own.full_gem_path}/{exe,libexec}/bundle"].first, 'exe/bundle')
version = 'lib/bundler/version.rb'
File.write(version, File.read(version).sub(/VERSION = "[^"]+"/, 'VERSION = "2.6.2"'))
Gem::Specification.new { |s| s.name = 'bundler'; s.version = '2.6.2'; s.summary = 'x'; s.authors = ['x']; s.bindir = 'exe'; s.executables = ['bundle']; s.files = Dir['{lib,exe}/**/*'].select { |f| File.file?(f) } }
`

/** A gem in C that is linked with PostgreSQL's library, under the name for which the buildpack brings its headers. */
const pg: Tree = {
  // Debian has this one's modules without its directory of a gem.
  'useragent/useragent.gemspec':
    "Gem::Specification.new { |s| s.name = 'useragent'; s.version = '0.16.8'; s.summary = 'x'; s.authors = ['x']; s.files = ['lib/useragent.rb'] }\n",
  'useragent/lib/useragent.rb': 'class UserAgent; end\n',
  // Not the real one either, of which Debian has no gem of this kind.
  'jekyll/jekyll.gemspec':
    "Gem::Specification.new { |s| s.name = 'jekyll'; s.version = '4.4.1'; s.summary = 'x'; s.authors = ['x']; s.files = ['exe/jekyll']; s.bindir = 'exe'; s.executables = ['jekyll'] }\n",
  'jekyll/exe/jekyll':
    "#!/usr/bin/env ruby\nDir.mkdir(ARGV.last)\nFile.write(File.join(ARGV.last, 'index.html'), \"#{ARGV.first} #{ENV['JEKYLL_ENV']} #{File.read('index.md')}\")\n",
  // Not the real one: it is known by its name, and its task is the application's here.
  'jsbundling/jsbundling-rails.gemspec':
    "Gem::Specification.new { |s| s.name = 'jsbundling-rails'; s.version = '1.3.1'; s.summary = 'x'; s.authors = ['x']; s.files = ['lib/jsbundling-rails.rb'] }\n",
  'jsbundling/lib/jsbundling-rails.rb': '\n',
  'bundler/bundler.gemspec': otherBundler,
  'pg/pg.gemspec':
    "Gem::Specification.new { |s| s.name = 'pg'; s.version = '1.5.9'; s.summary = 'x'; s.authors = ['x']; s.files = ['lib/pg.rb', 'ext/extconf.rb', 'ext/pg_ext.c']; s.extensions = ['ext/extconf.rb'] }\n",
  'pg/lib/pg.rb': "require 'pg_ext'\n",
  'pg/ext/extconf.rb':
    "require 'mkmf'\ndir_config 'pg', with_config('x'), nil\nabort 'no libpq' unless pkg_config('libpq') && have_library('pq', 'PQlibVersion')\ncreate_makefile('pg_ext')\n",
  'pg/ext/pg_ext.c':
    '#include <ruby.h>\n#include <libpq-fe.h>\nstatic VALUE version(VALUE self) { return INT2NUM(PQlibVersion()); }\nvoid Init_pg_ext(void) { rb_define_singleton_method(rb_define_module("PG"), "library_version", version, 0); }\n',
}

beforeAll(async () => {
  const made = await makeGems(['ruby-sinatra', 'puma', 'ruby-rackup', 'ruby-railties', 'ruby-rails-propshaft'], pg)
  gems = await serveGems(made)
  closed = await serveGems(made, 'someone:s3cr3t-0f-gems')
}, 300_000)

afterAll(async () => {
  await gems[Symbol.asyncDispose]()
  await closed[Symbol.asyncDispose]()
})

async function project(tree: Tree): Promise<string> {
  const dir = await temporaryDirectory()
  await writeTree(dir, tree)
  return dir
}

const gemfile = (...lines: string[]) => `source '${gems.url}'\n${lines.join('\n')}\n`

async function built(image: string, dir: string, ...args: string[]) {
  const ended = await bale(['build', image, '--path', dir, ...args])
  expect(ended.code, ended.output).toBe(0)
  return ended
}

describe('Bundler', () => {
  it('switches to the version that is asked for, in the build and in the image', async () => {
    const image = 'bale-test-ruby-bundler'
    const dir = await project({
      Gemfile: gemfile("gem 'useragent'"),
      'Gemfile.lock': `GEM\n  remote: ${gems.url}/\n  specs:\n    useragent (0.16.8)\n\nPLATFORMS\n  ruby\n\nDEPENDENCIES\n  useragent\n\nBUNDLED WITH\n   2.5.22\n`,
      // Bundler looks for itself on rubygems.org, whatever the Gemfile says.
      '.bundle/config': `---\nBUNDLE_MIRROR__HTTPS://RUBYGEMS__ORG/: "${gems.url}"\n`,
      Procfile: 'web: bundle version\n',
    })
    const ended = await built(image, dir, '--env', 'BP_BUNDLER_VERSION=2.6.2')
    expect(ended.output).toContain('Bundler 2.6.2: BP_BUNDLER_VERSION asks for 2.6.2')
    expect((await bale(['run', image])).stdout).toContain('Bundler version 2.6.2')
  }, 300_000)
})

describe('Ruby of an older release of Debian', () => {
  it('runs what asks for it alone, with extensions in C', async () => {
    const image = 'bale-test-ruby-older'
    const dir = await project({
      Gemfile: gemfile("ruby '~> 3.1.0'", "gem 'pg'"),
      'main.rb':
        "require 'bundler/setup'\nrequire 'pg'\nrequire 'openssl'\nputs \"#{RUBY_VERSION} #{PG.library_version > 0} #{OpenSSL::VERSION}\"\n",
      Procfile: 'web: ruby main.rb\n',
    })
    const { output } = await built(image, dir)
    expect(output).toMatch(/Ruby 3\.1\.\d+: Gemfile:2 asks for ~> 3\.1\.0/)
    expect(output).toContain("Debian's older release bookworm")
    expect((await bale(['run', image])).stdout).toMatch(/^3\.1\.\d+ true \d/)
  }, 300_000)
})

describe('Rack', () => {
  it('serves config.ru with puma; a second build with the lock file fetches no gem', async () => {
    const image = 'bale-test-ruby-rack'
    const dir = await project({
      Gemfile: gemfile("gem 'puma'", "gem 'rack'", "group(:test) { gem 'rake' }"),
      'config.ru': `run ->(env) { [200, {}, [env['PATH_INFO'] == '/lock' ? File.read('Gemfile.lock') : Rack.release + ' ' + ENV['RACK_ENV'] + ' ' + (defined?(Rake) ? 'rake' : 'alone')]] }\n`,
    })
    const first = await built(image, dir)
    expect(first.output).toContain('there is no Gemfile.lock')
    expect(first.output).toContain('config.ru is there, and puma is in the bundle')
    const { body: lock } = await serveAndAsk(image, '/lock')
    expect(lock).toMatch(/^ {4}puma \(6\./m)
    await writeFile(join(dir, 'Gemfile.lock'), lock)
    await writeFile(join(dir, 'config.ru'), "run ->(env) { [200, {}, ['changed ' + Rack.release]] }\n")
    gems.requests.length = 0
    const second = await built(image, dir)
    expect(second.output).toContain('Using the gems of Gemfile.lock of the previous image')
    expect(gems.requests).toEqual([])
    const answer = await serveAndAsk(image)
    expect(answer.body).toMatch(/^changed 3\.1\.\d+$/)
    // SIGTERM ends puma, and bale says so.
    expect(answer.code).toBe(143)
  }, 300_000)
})

describe('a private source', () => {
  it('is read with the credential of a binding, which is in no message; without one, the error says how to give it', async () => {
    const dir = await project({
      Gemfile: `source '${closed.url}'\ngem 'rack'\n`,
      'app.rb':
        "require 'bundler/setup'\nrequire 'rack'\nputs \"rack #{Rack.release} #{ENV.keys.grep(/BUNDLE_127/)}\"\n",
    })
    const image = 'bale-test-ruby-private'
    const refused = await bale(['build', image, '--path', dir])
    expect(refused.code).toBe(51)
    expect(refused.output).toContain('give a user and a password: --secret id=gems,src=FILE,type=bundler,key=HOST')
    const file = join(await temporaryDirectory(), 'login')
    await writeFile(file, 'someone:s3cr3t-0f-gems\n')
    const ended = await built(image, dir, '--secret', `id=gems,src=${file},type=bundler,key=127.0.0.1`)
    expect(ended.output).not.toContain('s3cr3t-0f-gems')
    expect((await bale(['run', image])).stdout).toMatch(/^rack 3\.1\.\d+ \[\]$/m)
  }, 300_000)
})

describe('a gem of a git repository', () => {
  it('comes at the commit of the lock file, without its history; a branch that moves on changes nothing', async () => {
    const source = await project({
      'words/words.gemspec':
        "Gem::Specification.new { |s| s.name = 'words'; s.version = '0.2.0'; s.summary = 'x'; s.authors = ['x']; s.files = ['lib/words.rb'] }\n",
      'words/lib/words.rb': "module Words; GREETING = 'first'; end\n",
    })
    await using remote = await serveGit(source)
    const image = 'bale-test-ruby-git'
    const dir = await project({
      Gemfile: gemfile("gem 'rack'", `gem 'words', git: '${remote.url}/words.git'`),
      'app.rb': "require 'bundler/setup'\nrequire 'words'\nputs Words::GREETING, File.read('Gemfile.lock')\n",
    })
    await built(image, dir)
    const { stdout } = await bale(['run', image])
    expect(stdout).toMatch(/^first$/m)
    const [lock = ''] = /^GIT\n[\s\S]*/m.exec(stdout) ?? []
    expect(lock).toMatch(/^ {2}revision: [0-9a-f]{40}$/m)
    await writeFile(join(dir, 'Gemfile.lock'), lock)
    await remote.commit('words', await project({ 'lib/words.rb': "module Words; GREETING = 'second'; end\n" }))
    const second = await built(image, dir, '--clear-cache')
    expect(second.output).not.toContain('there is no Gemfile.lock')
    expect((await bale(['run', image])).stdout).toMatch(/^first$/m)
    const { paths } = await readImageFiles(image)
    expect(paths.filter(path => /\/\.git\//.test(path))).toEqual([])
  }, 300_000)
})

describe('a gem with an extension in C', () => {
  it('is linked with a library of Debian’s that is in the image, and compilers are not; the bytes are the same twice', async () => {
    const image = 'bale-test-ruby-native'
    const dir = await project({
      Gemfile: gemfile("gem 'sinatra'", "gem 'rackup'", "gem 'puma'", "gem 'pg'"),
      'app.rb':
        "require 'sinatra'\nrequire 'pg'\nget('/') { \"sinatra #{Sinatra::VERSION} libpq #{PG.library_version}\" }\nget('/lock') { File.read('Gemfile.lock') }\n",
    })
    await built(image, dir)
    const { body } = await serveAndAsk(image)
    expect(body).toMatch(/^sinatra 4\.1\.1 libpq 17\d{4}$/)
    await writeFile(join(dir, 'Gemfile.lock'), (await serveAndAsk(image, '/lock')).body)
    const digest = digestIn(await bale(['build', image, '--path', dir, '--quiet']))
    const again = await bale(['build', `${image}-again`, '--path', dir, '--clear-cache', '--quiet'])
    expect(digestIn(again)).toBe(digest)
    const { paths } = await readImageFiles(image)
    expect(paths).toContainEqual(expect.stringMatching(/^\/layers\/bale_ruby\/libraries\/.*\/libpq\.so\.5$/))
    expect(
      paths.filter(path => /\/(gcc|cc|make)$|\.h$|\/headers\/|\/mkmf\.log$|\.o$/.test(path) && !path.includes('/ext/')),
    ).toEqual([])
  }, 300_000)
})

describe('Rails', () => {
  it('compiles its assets, and serves them in production', async () => {
    const image = 'bale-test-ruby-rails'
    const dir = await project({
      Gemfile: gemfile("gem 'railties', '~> 7.2'", "gem 'propshaft'", "gem 'puma'"),
      Aptfile: 'libxml2\nlibxslt1.1\n',
      'config/application.rb':
        "require 'bundler/setup'\nrequire 'rails'\nrequire 'action_controller/railtie'\nrequire 'propshaft'\nclass Shop < Rails::Application\n  config.load_defaults 7.2\n  config.eager_load = true\n  config.hosts.clear\n  routes.append { get '/', to: ->(_) { [200, {}, [\"Rails #{Rails.version} #{Rails.env} #{Rails.application.assets.resolver.resolve('app.css')}\"]] } }\nend\n",
      'config/environment.rb': "require_relative 'application'\nRails.application.initialize!\n",
      'config.ru': "require_relative 'config/environment'\nrun Rails.application\n",
      Rakefile: "require_relative 'config/application'\nRails.application.load_tasks\n",
      'bin/rails':
        "#!/usr/bin/env ruby\nAPP_PATH = File.expand_path('../config/application', __dir__)\nrequire 'bundler/setup'\nrequire 'rails/commands'\n",
      'app/assets/stylesheets/app.css': 'body { color: red }\n',
    })
    const { output } = await built(image, dir)
    expect(output).toContain('Compiling assets')
    const secret = ['--env', 'SECRET_KEY_BASE=of-this-run']
    expect((await serveAndAsk(image, '/', secret)).body).toMatch(
      /^Rails 7\.2\.\S+ production \/assets\/app-[0-9a-f]+\.css$/,
    )
    expect((await readImageFiles(image)).paths).not.toContain('/workspace/tmp/local_secret.txt')
  }, 300_000)
})

describe('a site of Jekyll', () => {
  it('is made in the build and served by nginx, and nothing of Ruby is in the image', async () => {
    const image = 'bale-test-ruby-jekyll'
    const dir = await project({ Gemfile: gemfile("gem 'jekyll'"), '_config.yml': 'title: x\n', 'index.md': 'welcome' })
    const { output } = await built(image, dir)
    expect(output).toContain('static site: Jekyll makes it of _config.yml')
    expect(output).toContain('Building _site/ with Jekyll')
    expect((await serveAndAsk(image)).body).toBe('build production welcome')
    const { paths } = await readImageFiles(image)
    expect(paths.filter(path => /ruby|gems|index\.md/.test(path))).toEqual([])
  }, 300_000)
})

describe('a front end that a task of rake builds', () => {
  it('has npm and the tools of devDependencies, of which nothing is in the image', async () => {
    const image = 'bale-test-ruby-front-end'
    const dir = await project({
      Gemfile: gemfile("gem 'puma'", "gem 'rack'", "gem 'rake'", "gem 'jsbundling-rails'"),
      'config.ru': "run ->(env) { [200, {}, [File.read('public/made.txt')]] }\n",
      Rakefile: "task('assets:precompile') { sh 'npm exec bundle-it' }\ntask(:never) { abort }\n",
      'package.json': JSON.stringify({ private: true, devDependencies: { 'bundle-it': 'file:tools/bundle-it' } }),
      'tools/bundle-it/package.json': JSON.stringify({ name: 'bundle-it', version: '1.0.0', bin: 'run.js' }),
      'tools/bundle-it/run.js':
        "#!/usr/bin/env node\nrequire('node:fs').mkdirSync('public', { recursive: true })\nrequire('node:fs').writeFileSync('public/made.txt', 'bundled')\n",
    })
    const { output } = await built(image, dir)
    expect(output).toContain('Node.js: Gemfile has jsbundling-rails; the application starts with Ruby')
    expect(output).toContain('Removing node_modules: only the build uses it')
    expect((await serveAndAsk(image)).body).toBe('bundled')
    const { paths } = await readImageFiles(image)
    expect(paths.filter(path => /node_modules|\/node$|\/npm/.test(path))).toEqual([])
  }, 300_000)
})

describe('what cannot be built', () => {
  it.each<[string, string[], string, RegExp]>([
    [
      'another Ruby',
      ["ruby '3.2.99'", "gem 'rack'"],
      '',
      /Gemfile:2: asks for Ruby 3\.2\.99, which is not available\n\s+the nearest is 3\.\d+\.\d+/,
    ],
    ['a gem that is nowhere', ["gem 'no-such-gem'"], '', /no-such-gem[\s\S]*Gemfile: bundle lock failed/],
    [
      'a lock file of another platform alone',
      ["gem 'rack'"],
      'GEM\n  remote: URL/\n  specs:\n    rack (3.1.20)\n\nPLATFORMS\n  arm64-darwin-23\n\nDEPENDENCIES\n  rack\n\nBUNDLED WITH\n   2.5.22\n',
      /bundle lock --add-platform x86_64-linux, and commit Gemfile\.lock/,
    ],
    [
      'a lock file that does not fit the Gemfile',
      ["gem 'rack'", "gem 'puma'"],
      'GEM\n  remote: URL/\n  specs:\n    rack (3.1.20)\n\nPLATFORMS\n  ruby\n\nDEPENDENCIES\n  rack\n\nBUNDLED WITH\n   2.5.22\n',
      /run bundle install, and commit Gemfile\.lock/,
    ],
  ])(
    '%s is an error with its place',
    async (_what, lines, lock, message) => {
      const tree = {
        Gemfile: gemfile(...lines),
        'config.ru': 'run 1\n',
        ...(lock && { 'Gemfile.lock': lock.replace('URL', gems.url) }),
      }
      const { code, output } = await bale(['build', 'bale-test-ruby-refused', '--path', await project(tree)])
      expect(code).not.toBe(0)
      expect(output).toMatch(message)
    },
    120_000,
  )
})
