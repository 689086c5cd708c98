import { spawnSync } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, stat, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { isAsked } from '../../buildpacks/php/composer.ts'
import { numbersOf, parseConstraint } from '../../buildpacks/php/constraint.ts'
import { packagesOfExtensions, requiredExtensions } from '../../buildpacks/php/extensions.ts'
import { findFramework } from '../../buildpacks/php/frameworks.ts'
import { wantsServer } from '../../buildpacks/php/heroku.ts'
import { readHtaccess } from '../../buildpacks/php/htaccess.ts'
import { namedExtensions, readOwnSettings } from '../../buildpacks/php/ini.ts'
import { componentsOf, installOptions } from '../../buildpacks/php/install.ts'
import { serverConfig } from '../../buildpacks/php/nginx-config.ts'
import { checkOtherServers } from '../../buildpacks/php/other-servers.ts'
import { php } from '../../buildpacks/php/php.ts'
import { parseLock, readLock, readManifest } from '../../buildpacks/php/project.ts'
import { type Php, provideOwnSettings } from '../../buildpacks/php/runtime.ts'
import { usedExtensions } from '../../buildpacks/php/scan.ts'
import { findSessions } from '../../buildpacks/php/sessions.ts'
import { apacheConfig } from '../../buildpacks/php/apache.ts'
import { serveScript } from '../../buildpacks/php/serve-script.ts'
import { chosenServer } from '../../buildpacks/php/server.ts'
import { checkVersion, wantedPhp } from '../../buildpacks/php/version.ts'
import { findWeb } from '../../buildpacks/php/web.ts'
import { openDirectories, placeWritten } from '../../buildpacks/php/written.ts'
import { type BuildContext, type LayerDefinition, Log } from '../../buildpacks/sdk/index.ts'
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

const dir = join(import.meta.dirname, '../../buildpacks/php')
type Env = Record<string, string>

const json = (value: unknown) => JSON.stringify(value)

describe('detection', () => {
  it.each<[Tree, Env, string]>([
    [{ 'composer.json': '{}' }, {}, 'PHP: composer.json'],
    [{ 'index.php': '' }, {}, 'PHP: index.php'],
    [{ 'composer.json': '{}', 'public/index.php': '' }, {}, 'PHP: composer.json and public/index.php'],
    [{ 'index.php': '', 'index.html': '' }, {}, 'PHP: index.php'],
    [{ 'htdocs/page.php': '' }, {}, 'PHP: htdocs/page.php'],
    [{ 'site/page.php': '' }, { BP_PHP_WEB_DIR: 'site' }, 'PHP: BP_PHP_WEB_DIR is set'],
    [
      { 'composer.json': '{}', Procfile: 'web: vendor/bin/heroku-php-apache2 web/\n' },
      {},
      'PHP: the Procfile starts vendor/bin/heroku-php-apache2, and composer.json',
    ],
  ])('passes: %j with %j', async (app, env, output) => {
    const project = await openProject({ buildpack: php, dir, app: app as Record<string, string>, env })
    const detected = await project.detect()
    expect(detected).toMatchObject({ exitCode: 0, plan: { provides: [{ name: 'php' }] } })
    expect(detected.output.split('\n')[0]).toBe(output)
  })

  it('does not pass for a script beside another language’s server', async () => {
    const project = await openProject({ buildpack: php, dir, app: { 'tool.php': '', 'go.mod': '', 'main.go': '' } })
    expect(await project.detect()).toMatchObject({ exitCode: 100 })
  })
})

describe('a constraint of Composer’s', () => {
  it.each([
    ['^8.2', '8.4.28', true],
    ['^8.2', '9.0.0', false],
    ['^8.4.29', '8.4.28', false],
    ['^0.3.1', '0.4.0', false],
    ['~8.3.0', '8.4.28', false],
    ['~8.3', '8.4.28', true],
    ['~8', '8.4.28', true],
    ['>=8.1 <8.5', '8.4.28', true],
    ['>= 8.1, < 8.4', '8.4.0', false],
    ['8.*', '8.4.28', true],
    ['8.4.*', '8.4.28', true],
    ['8.3.*', '8.4.28', false],
    ['*', '8.4.28', true],
    ['^7.4 || ^8.0', '8.4.28', true],
    ['7.4.*|8.1.*', '8.4.28', false],
    ['8.1 - 8.4', '8.4.28', true],
    ['8.1 - 8.4.2', '8.4.28', false],
    ['8.4', '8.4.28', false],
    ['8.4.28', '8.4.28', true],
    ['v8.4.28', '8.4.28', true],
    ['!=8.4.28', '8.4.28', false],
    ['>8.4', '8.4.28', true],
    ['<=8.4', '8.4.28', false],
    ['>=8.2@dev', '8.4.28', true],
    ['^8.2.0-dev', '8.4.28', true],
  ])('%s for %s: %s', (text, version, meets) => {
    expect(parseConstraint(text)?.(numbersOf(version) ?? [0, 0, 0])).toBe(meets)
  })

  it.each(['', 'eight', '^', '8.2 ||', '>=', '^8.*', '$(id)', '8.4.28.1.2', 'a'.repeat(10_000), '^ '.repeat(10_000)])(
    'is none: %.20s',
    text => expect(parseConstraint(text)).toBeUndefined(),
  )
})

describe('the version', () => {
  const outcome = async (tree: Tree, env: Env = {}, releases: [string, ...string[]] = ['8.4.28']) => {
    const app = await appOf(tree)
    const manifest = await readManifest(app, env)
    const lock = manifest && (await readLock(app, manifest))
    return checkVersion(await wantedPhp({ app, env }, manifest, lock), releases)
  }
  const requires = (version: string) => ({ 'composer.json': json({ require: { php: version } }) })

  it.each<[Tree, Env]>([
    [{}, {}],
    [requires('^8.2'), {}],
    [requires('8.4.28'), {}],
    [{}, { BP_PHP_VERSION: '8.4.*' }],
    [{}, { BP_PHP_VERSION: '8.4.1' }],
    [{}, { BP_PHP_VERSION: '8' }],
    [{}, { RAILPACK_PHP_VERSION: '8.4' }],
    [{}, { GOOGLE_RUNTIME: 'nodejs', GOOGLE_RUNTIME_VERSION: '22' }],
    [{ '.php-version': '8.4\n' }, {}],
    [{ 'mise.toml': '[tools]\nphp = "8.4"\n' }, {}],
    [{ 'composer.json': '{}', 'composer.lock': json({ packages: [], platform: { php: '>=8.1' } }) }, {}],
    // PHP writes an empty table as a list.
    [{ 'composer.json': '{"require":[]}', 'composer.lock': json({ packages: [], platform: [] }) }, {}],
  ])('is met for %j and %j', async (tree, env) => {
    expect(await outcome(tree, env)).toEqual([])
  })

  it.each<[Tree, Env, string]>([
    [requires('~8.3.0'), {}, 'composer.json require.php'],
    // Composer takes it for 8.4.0.
    [requires('8.4'), {}, 'composer.json require.php'],
    [requires('^8.2'), { BP_PHP_VERSION: '8.2.*' }, 'BP_PHP_VERSION'],
    [{}, { BP_PHP_VERSION: '8.4.99' }, 'BP_PHP_VERSION'],
    [{}, { GOOGLE_RUNTIME_VERSION: '7.4' }, 'GOOGLE_RUNTIME_VERSION'],
    [{ '.php-version': '8.1' }, {}, '.php-version'],
    [{ 'composer.json': json({ config: { platform: { php: '7.4.33' } } }) }, {}, 'composer.json config.platform.php'],
    [{ 'composer.json': '{}', 'composer.lock': json({ platform: { php: '<8.4' } }) }, {}, 'composer.lock platform.php'],
    [{ 'a.json': json({ require: { php: '^9' } }) }, { COMPOSER: 'a.json' }, 'a.json require.php'],
  ])('is refused with its place for %j and %j', async (tree, env, where) => {
    const failure = (await failureOf(outcome(tree, env))) as { where?: string; fix?: string }
    expect(failure.where).toBe(where)
    expect(failure.fix).toMatch(/^the nearest is 8\.4\.28, the version of Debian 13: write /)
  })

  it('may be that of an older release of Debian', async () => {
    const releases: [string, string] = ['8.4.28', '8.2.36']
    expect(await outcome(requires('~8.2.0'), {}, releases)).toEqual([])
    const refused = async (version: string) =>
      ((await failureOf(outcome(requires(version), {}, releases))) as { fix?: string }).fix
    expect(await refused('~8.1.0')).toContain('8.2.36, of an older release of Debian: write "^8.2"')
    expect(await refused('^9')).toContain('8.4.28, the version of Debian 13: write "^8.4"')
    // A version that cannot satisfy the request is not opened, so its patch number is unknown.
    const notOpened = failureOf(outcome(requires('~8.1.0'), {}, ['8.4.28', '8.2']))
    expect(((await notOpened) as { fix?: string }).fix).toContain('8.2, of an older release of Debian: write "^8.2"')
  })

  it('is warned of where another one is only meant', async () => {
    const tree = { 'composer.json': json({ require: { php: '^8.1' }, config: { platform: { php: '8.1.2' } } }) }
    expect(await outcome(tree)).toEqual([
      'composer.json config.platform.php asks for 8.1.2, but composer.json require.php for ^8.1: the image has 8.4.28',
    ])
  })

  it('is none in "newest"', async () => {
    expect(await failureOf(outcome({}, { BP_PHP_VERSION: 'newest!' }))).toMatchObject({
      where: 'BP_PHP_VERSION',
      message: '"newest!" is not a version of PHP',
    })
  })
})

it.each([
  ['2', true],
  ['2.8.*', true],
  ['v2.8.8', true],
  ['^2.1', true],
  ['2.2.20', false],
  ['2.80', false],
  ['1.10.27', false],
  ['latest', false],
])('Composer 2.8.8 is what %s asks for: %s', (wanted, meets) => {
  expect(isAsked('2.8.8', wanted)).toBe(meets)
})

describe('a composer.json that is none', () => {
  it.each<[string, string]>([
    ['{', 'composer.json'],
    ['[1]', 'composer.json'],
    ['null', 'composer.json'],
    ['{"require":"php"}', 'composer.json require'],
    ['{"require":{"php":8}}', 'composer.json require.php'],
    ['{"scripts":1}', 'composer.json scripts'],
    ['{"config":{"platform":7}}', 'composer.json config.platform'],
    ['{"config":{"vendor-dir":3}}', 'composer.json config.vendor-dir'],
    ['{"config":{"vendor-dir":"../lib"}}', 'composer.json config.vendor-dir'],
    ['{"config":{"vendor-dir":"/usr/lib"}}', 'composer.json config.vendor-dir'],
    ['{"config":{"vendor-dir":"."}}', 'composer.json config.vendor-dir'],
  ])('%s is an error with its place', async (text, where) => {
    const app = await appOf({ 'composer.json': text })
    const failure = (await failureOf(readManifest(app, {}))) as { where?: string; fix?: string }
    expect(failure.where).toBe(where)
    expect(failure.fix).toBeTypeOf('string')
  })

  it.each(['../../etc/passwd', '/etc/passwd'])('COMPOSER does not reach %s', async file => {
    expect(await failureOf(readManifest(await appOf({}), { COMPOSER: file }))).toMatchObject({ where: 'COMPOSER' })
  })

  it.each(['{"packages":{"a":1}}', '{"packages":[1]}', '{"packages":[{"name":"a/b"}]}', 'x'])(
    'nor is the lock file %s one',
    text => expect(() => parseLock(text, 'composer.lock')).toThrow(),
  )
})

describe('extensions', () => {
  const lock = parseLock(
    json({
      packages: [
        { name: 'a/imaging', version: 'v1.2.0', require: { 'ext-gd': '*', 'ext-mbstring': '*' }, license: ['MIT'] },
        { name: 'a/fast', version: '2.0.0', require: { 'ext-swoole': '*' } },
        { name: 'a/polyfill', version: '1.0.0', provide: { 'ext-swoole': '*' }, dist: { type: 'path' } },
      ],
      platform: { 'ext-pdo_mysql': '*' },
    }),
    'composer.lock',
  )

  it('are those of composer.json, the lock file and its packages; what a package brings need not be there', async () => {
    const app = await appOf({
      'composer.json': json({ require: { 'ext-Zend-OPcache': '*', 'ext-dom': '*', 'ext-intl': '*' } }),
    })
    const requests = requiredExtensions(await readManifest(app, {}), lock)
    expect(requests.map(({ name }) => name)).toEqual(['dom', 'gd', 'intl', 'mbstring', 'opcache', 'pdo_mysql'])
    expect(requests.find(({ name }) => name === 'gd')?.where).toBe('composer.lock a/imaging require.ext-gd')
    expect(packagesOfExtensions(requests, '8.4')).toEqual(['php8.4-gd', 'php8.4-intl', 'php8.4-mysql'])
  })

  it.each([
    ['mysql', 'the nearest is mysqli or mysqlnd or pdo_mysql'],
    ['imagik', 'the nearest is gmagick or imagick'],
    ['swoole', 'there are '],
  ])('%s is an error with the nearest', (name, fix) => {
    expect(() => packagesOfExtensions([{ name, where: 'composer.json' }], '8.4')).toThrow(
      expect.objectContaining({ where: 'composer.json', fix: expect.stringContaining(fix) as string }),
    )
  })

  it('are left out where Composer is told to do without', () => {
    const { args, ignores } = installOptions({ BP_COMPOSER_INSTALL_OPTIONS: '--no-dev --ignore-platform-req=ext-g*' })
    expect(args).toEqual(['--no-dev', '--ignore-platform-req=ext-g*'])
    expect(requiredExtensions(undefined, lock, ignores).map(({ name }) => name)).toEqual(['mbstring', 'pdo_mysql'])
    expect(installOptions({}).args).toEqual(['--no-dev'])
    expect(installOptions({ COMPOSER_NO_DEV: '0' }).args).toEqual([])
  })

  it('come from php.ini at the top of the source, before .php.ini.d', async () => {
    const ini = { 'php.ini': 'memory_limit = 1G\n', '.php.ini.d/00-a.ini': 'memory_limit = 2G\n' }
    const { files, top, memoryLimit } = await readOwnSettings(await appOf({ ...ini, '.php.ini.d/php.ini': 'x = 1\n' }))
    expect([top?.name, ...files.map(({ name }) => name)]).toEqual(['php.ini', '00-a.ini', 'php.ini'])
    expect(memoryLimit).toBe('2G')
  })

  it.each([
    [undefined, '${PHP_MEMORY_LIMIT:-128M}'],
    ['256M', '256M'],
    ['${LIMIT}', '${LIMIT:-}'],
    ['${LIMIT:-64M}', '${LIMIT:-64M}'],
    ['$(id)', "'$(id)'"],
  ])('with the memory limit %s decide how many processes fit', (memoryLimit, each) => {
    const places = { server: undefined, dir: '/layers/server', app: '/workspace', root: '/workspace' }
    const script = serveScript({ ...places, memoryLimit, fpmFiles: false, prepare: '' })
    expect(script).toContain(`    each=${each}\n`)
  })

  it('and settings of the application are read after those of PHP and its extensions, in the build and in the image', async () => {
    const app = await appOf({ 'php.ini': 'a = 1\n', '.php.ini.d/00-php.ini': 'b = 2\n' })
    const path = await temporaryDirectory()
    let atLaunch = '/layers/php:/layers/extensions'
    const layer = async (_: string, definition: LayerDefinition) => {
      const change = (await definition.create(path))?.env?.all?.['PHP_INI_SCAN_DIR']
      if (change?.kind === 'append') atLaunch += `${change.delimiter}${change.value}`
      else atLaunch = `${change?.value}:${atLaunch}`
      return { path, reused: false, metadata: {} }
    }
    const context = { layer, env: {}, log: listen().log } as unknown as BuildContext
    const php = { program: '/layers/php/bin/php', settings: ['/layers/php'], libraries: [], packages: [], env: {} }
    const made = await provideOwnSettings(context, php as unknown as Php, await readOwnSettings(app))
    expect(made.env['PHP_INI_SCAN_DIR']).toBe(`/layers/php:${path}/top:${path}/conf.d`)
    expect(atLaunch).toBe(`/layers/php:/layers/extensions:${path}/top:${path}/conf.d`)
    expect(await readFile(join(path, 'top/php.ini'), 'utf8')).toBe('a = 1\n')
    expect(await readFile(join(path, 'conf.d/00-php.ini'), 'utf8')).toBe('b = 2\n')
  })

  it('of a php.ini that is another machine’s are left out', async () => {
    const text = 'extension=php_gd2.dll\nzend_extension="C:\\xampp\\php_xdebug.dll"\nextension=php_intl.dll\nx = 1'
    const { extensions, lost, top } = await readOwnSettings(await appOf({ 'php.ini': text }))
    expect(extensions).toEqual([{ name: 'intl', where: 'php.ini:3' }])
    expect(lost).toEqual(['php.ini:1 extension=php_gd2.dll', 'php.ini:2 zend_extension="C:\\xampp\\php_xdebug.dll"'])
    expect(top?.text.split('\n').filter(line => !line.startsWith(';'))).toEqual(['x = 1'])
    // What is meant for this buildpack is an error.
    const own = await readOwnSettings(await appOf({ '.php.ini.d/a.ini': 'extension=gd2\n' }))
    expect(own.extensions).toEqual([{ name: 'gd2', where: '.php.ini.d/a.ini:1' }])
  })

  it('are those that .php.ini.d loads, which are not loaded twice', async () => {
    const app = await appOf({
      '.php.ini.d/a.ini':
        '; extension=ldap\nextension = redis.so\n[x]\nzend_extension=xdebug\nmemory_limit = "256M"\nextension=/opt/own.so\n',
      '.php.ini.d/notes.txt': 'extension=ldap\n',
    })
    const { files, extensions, memoryLimit } = await readOwnSettings(app)
    expect(extensions).toEqual([
      { name: 'redis', where: '.php.ini.d/a.ini:2' },
      { name: 'xdebug', where: '.php.ini.d/a.ini:4' },
    ])
    expect(files[0]?.text.split('\n').slice(0, 4)).toEqual([
      '; extension=ldap',
      '; extension = redis.so',
      '[x]',
      '; zend_extension=xdebug',
    ])
    expect(files[0]?.text).toContain('\nextension=/opt/own.so\n')
    expect(memoryLimit).toBe('256M')
  })

  it('are those that a setting names', () => {
    const named = (value: string) => namedExtensions({ name: 'BP_PHP_EXTENSIONS', value })
    expect(named('gd, ext-intl').map(({ name }) => name)).toEqual(['gd', 'intl'])
    expect(() => named('gd;id')).toThrow('"gd;id" is not the name of an extension')
  })

  it('are those that code calls, where there is no composer.json', async () => {
    const app = await appOf({
      'index.php': '<?php $db = new mysqli("x"); // no imagecreate here',
      'lib/a.inc': '<?php $z = new ZipArchive();',
      'node_modules/x.php': '<?php bcadd("1", "2");',
    })
    const { log, said } = listen()
    expect((await usedExtensions(app, log)).map(({ name, where }) => [name, where])).toEqual([
      ['mysqli', 'index.php'],
      ['zip', 'lib/a.inc'],
    ])
    expect(said()).toBe('')
  })

  it('are told of where there is more code than is read', async () => {
    const app = await appOf(Object.fromEntries(Array.from({ length: 2001 }, (_, i) => [`${i}.php`, '<?php'])))
    const { log, said } = listen()
    expect(await usedExtensions(app, log)).toEqual([])
    expect(said()).toContain('Warning: the source has 2001 PHP files and no composer.json')
  })

  it('and packages are in the bill of materials, directories of the application are not', () => {
    expect(componentsOf(lock)).toEqual([
      { name: 'a/imaging', version: '1.2.0', purl: 'pkg:composer/a/imaging@1.2.0', license: 'MIT' },
      { name: 'a/fast', version: '2.0.0', purl: 'pkg:composer/a/fast@2.0.0' },
    ])
  })
})

describe('the directory that is served', () => {
  const served = async (tree: Tree, env: Env = {}) => (await findWeb(await appOf(tree), env))?.dir

  it.each<[Tree, Env, string | undefined]>([
    [{ 'public/index.php': '', 'index.php': '' }, {}, 'public'],
    [{ 'web/index.php': '' }, {}, 'web'],
    [{ 'webroot/index.php': '', 'index.php': '' }, {}, 'webroot'],
    [{ 'public/style.css': '', 'index.php': '' }, {}, '.'],
    [{ 'page.php': '' }, {}, '.'],
    [{ 'src/tool.php': '' }, {}, undefined],
    [{ 'a b/index.php': '' }, { BP_PHP_WEB_DIR: './a b/' }, 'a b'],
    [{ 'site/index.php': '' }, { RAILPACK_PHP_ROOT_DIR: '/app/site' }, 'site'],
    [{ 'docs/index.php': '', Procfile: 'web: vendor/bin/heroku-php-nginx -C nginx.conf docs/' }, {}, 'docs'],
    [{ 'docs/index.php': '', Procfile: 'web: heroku-php-apache2' }, {}, '.'],
  ])('of %j with %j is %s', async (tree, env, expected) => {
    expect(await served(tree, env)).toBe(expected)
  })

  it.each(['../..', '/etc', 'a/../../b', 'public\n', 'pub$lic', 'a;b', 'a}b', 'a"b', 'missing', 'index.php'])(
    'is not %j',
    async value => {
      const app = await appOf({
        'index.php': '',
        'pub$lic/index.php': '',
        'a;b/index.php': '',
        'a"b/index.php': '',
        'a}b/x': '',
      })
      const failure = (await failureOf(findWeb(app, { BP_PHP_WEB_DIR: value }))) as { where?: string } | undefined
      if (value === 'public\n')
        expect(failure).toMatchObject({ where: 'BP_PHP_WEB_DIR', message: 'there is no directory public' })
      else expect(failure).toMatchObject({ where: 'BP_PHP_WEB_DIR' })
    },
  )

  it('is not a link out of the source', async () => {
    const app = await appOf({ 'a/index.php': '' })
    await symlink('/usr', app.at('public'))
    await symlink('a', app.at('web'))
    expect(await failureOf(findWeb(app, { BP_PHP_WEB_DIR: 'public' }))).toMatchObject({
      where: 'public',
      message: 'is a link to /usr, outside the source',
    })
    expect(await findWeb(app, { BP_PHP_WEB_DIR: 'web' })).toMatchObject({ dir: 'web', hasIndex: true })
  })

  it('is served by this buildpack, unless a command starts something else', async () => {
    const wants = async (Procfile: string) => wantsServer(await appOf({ Procfile }), {})
    expect(await wants('web: vendor/bin/heroku-php-nginx web/')).toBe(true)
    expect(await wants('web: php migrate.php && serve-php')).toBe(true)
    expect(await wants('worker: php work.php')).toBe(true)
    expect(await wants('web: php -S 0.0.0.0:$PORT')).toBe(false)
  })
})

describe('servers that are not to be had', () => {
  const check = async (tree: Tree, require: Record<string, string> = {}) => {
    const app = await appOf({ ...tree, 'composer.json': json({ require }) })
    const { log, said } = listen()
    await checkOtherServers({ app, env: {}, log }, await readManifest(app, {}))
    return said()
  }

  it.each([
    ['web: php artisan octane:start --server=frankenphp --port=$PORT', "Laravel Octane's server"],
    ['web: frankenphp run', 'FrankenPHP'],
    ['web: ./vendor/bin/rr serve', 'RoadRunner'],
  ])('are an error where a Procfile starts them: %s', async (Procfile, name) => {
    const failure = await failureOf(check({ Procfile }))
    expect(failure).toMatchObject({
      where: 'the Procfile',
      message: `it starts ${name}, which Debian 13 does not have`,
    })
    expect(await check({ Procfile, frankenphp: '' })).toBe('')
  })

  it('are told of where the application has a package or settings for one', async () => {
    expect(await check({}, { 'laravel/octane': '^2' })).toContain(
      'laravel/octane has no server here: nginx with PHP-FPM',
    )
    expect(await check({ Caddyfile: '' })).toContain('Caddyfile is not read')
    expect(await check({ Procfile: 'web: vendor/bin/heroku-php-nginx public/' })).toBe('')
  })
})

describe('sessions', () => {
  const bindings = async (tree: Tree) => {
    const platformDir = await temporaryDirectory()
    await writeTree(join(platformDir, 'bindings'), tree)
    const { log, said } = listen()
    return { root: join(platformDir, 'bindings'), said, sessions: await findSessions({ env: {}, platformDir, log }) }
  }
  /** Runs what prepares a start, as serve-php does. */
  const settings = async (prepare: string, root: string) => {
    const temp = await temporaryDirectory()
    const script = `set -u; fail() { echo "Error: $1"; exit 1; }; dir=${temp}\n${prepare}\ncat "$dir/ini/sessions.ini"; echo "$PHP_INI_SCAN_DIR"`
    const env = { PATH: process.env['PATH'], SERVICE_BINDING_ROOT: root, PHP_INI_SCAN_DIR: '/a' }
    const { stdout } = spawnSync('bash', ['-c', script], { env, encoding: 'utf8' })
    return stdout.replaceAll(temp, '<dir>')
  }

  it('are in Redis where a binding says so, whose password is in no image', async () => {
    const redis = { 'cache/type': 'php-redis-session', 'cache/host': 'redis.test\n', 'cache/password': 'p"$&/é' }
    const { root, sessions, said } = await bindings({ ...redis, 'other/type': 'php-memcached-session' })
    expect(sessions?.extension).toEqual({ name: 'redis', where: 'the binding cache' })
    expect(said()).toContain('The binding other of the type php-memcached-session has no effect')
    const prepare = sessions?.prepare ?? ''
    expect(prepare).not.toContain('p"$')
    expect(await settings(prepare, root)).toBe(
      'session.save_handler = redis\nsession.save_path = "tcp://redis.test:6379?auth=p%22%24%26%2F%C3%A9"\n/a:<dir>/ini\n',
    )
    const { root: own } = await bindings({
      'x/type': 'PHP-Redis-Session',
      'x/port': '6380',
      'x/username': 'ada',
      'x/password': 'b',
    })
    expect(await settings(prepare, own)).toContain('"tcp://127.0.0.1:6380?auth[user]=ada&auth[pass]=b"')
    expect(await settings(prepare, '/nowhere')).toContain(
      'Error: it was built to keep sessions in the server of a binding of the type php-redis-session',
    )
    await writeTree(own, { 'x/type': ' php-redis-session \r\n', 'x/host': ' h \r\n', 'x/password': 'b\r\n' })
    expect(await settings(prepare, own)).toContain('"tcp://h:6380?auth[user]=ada&auth[pass]=b"')
    await writeTree(own, { 'x/host': 'fd00::1\n' })
    expect(await settings(prepare, own)).toContain('"tcp://[fd00::1]:6380?')
    await writeTree(own, { 'x/host': 'a"; x=' })
    expect(await settings(prepare, own)).toContain('names no server for sessions')
  })

  it('are in Memcached', async () => {
    const memcached = { 'm/type': 'php-memcached-session', 'm/servers': 'a.test:11211,b.test' }
    const { root, sessions } = await bindings(memcached)
    const expected = 'session.save_handler = memcached\nsession.save_path = "a.test:11211,b.test"\n'
    expect(await settings(sessions?.prepare ?? '', root)).toContain(expected)
    await writeTree(root, { 'm/username': 'u', 'm/password': 'a b' })
    expect(await settings(sessions?.prepare ?? '', root)).toContain(
      `${expected}memcached.sess_sasl_username = 'u'\nmemcached.sess_sasl_password = 'a b'\n`,
    )
  })

  it('are nowhere else without a binding, and a server that is none is an error', async () => {
    expect((await bindings({ 'a/type': 'redis' })).sessions).toBeUndefined()
    expect(await failureOf(bindings({ 'a/type': 'php-redis-session', 'a/host': 'a b' }))).toMatchObject({
      where: 'the binding a',
    })
  })
})

describe('the configuration of nginx', () => {
  const input = {
    root: '/workspace',
    files: [],
    framework: undefined,
    vendorDir: undefined,
    forceHttps: false,
    builtLater: false,
    scopes: [],
    own: [],
  }

  it('hides manifests and packages where the whole source is served', () => {
    const { server } = serverConfig({ ...input, web: { dir: '.', why: '', hasIndex: true } })
    const patterns = Array.from(
      server.matchAll(/^location ~\*? "(.*)" \{ return 404; \}$/gm),
      ([, each = '']) => new RegExp(each, 'i'),
    )
    const hidden = (path: string) => patterns.some(pattern => pattern.test(path))
    const secrets = [
      '/.env',
      '/a/.git/config',
      '/composer.json',
      '/composer.lock',
      '/vendor/a/b.js',
      '/auth.json',
      '/dump.sql',
      '/Procfile',
    ]
    for (const path of secrets) expect(hidden(path), path).toBe(true)
    for (const path of [
      '/.well-known/acme',
      '/app.js',
      '/img/a.png',
      '/wp-content/plugins/a/vendor/b.js',
      '/data.json',
      '/my.vendor/x.css',
    ])
      expect(hidden(path), path).toBe(false)
  })

  it('closes what a .htaccess closes, before it answers that a file is unchanged', async () => {
    const { scopes } = await readHtaccess(
      await appOf({
        '.htaccess': '<FilesMatch "(?i)\\.(s\\"ql|bak{1,2}|log)$">\nRequire all denied\n</FilesMatch>\n',
        'a "b/.htaccess': 'Deny from all\n<Files x.css>\nAllow from all\n</Files>\n',
      }),
      '.',
    )
    const { server, http } = serverConfig({ ...input, scopes, web: { dir: '.', why: '', hasIndex: true } })
    expect(http).toContain('\n"~(?i)\\\\.(s\\"ql|bak{1,2}|log)$" 1;\n')
    expect(http).toContain('"" 1;\n"~\\.php$" 1;\n"~^x\\\\.css$" "";\n')
    const rows = ['"~^\\\\/a \\"b\\\\/" $is_denied_name_0;', '"~^\\\\/" $is_denied_name_1;']
    expect(http).toContain(`map $file_of_path $is_denied_file {\nvolatile;\ndefault "";\n${rows.join('\n')}\n}`)
    const [denied, unchanged] = ['if ($is_denied) { return 404; }', 'if ($is_unchanged)'].map(text =>
      server.indexOf(text),
    )
    expect(denied).toBeGreaterThan(0)
    expect(denied).toBeLessThan(unchanged ?? 0)
  })

  it.each([
    ['location = /data/a.txt { expires 1d; }', '"~^\\\\/data\\\\/a\\\\.txt$" "";'],
    [
      'location ^~ "/data/" { deny all; }',
      '"~^\\\\/data\\\\/" $is_denied_name_0;\n"~^\\\\/data\\\\/" $is_denied_name_1;',
    ],
    ['location /data/ { deny all; }', '"~^\\\\/data\\\\/" $is_denied_name_0;\n"~^\\\\/data\\\\/" $is_denied_name_1;'],
    ['location = /b {} location /data/ { deny all; }', '"~^\\\\/data\\\\/" $is_denied_name_0;'],
    ["location '/data/a/' {}", '"~^\\\\/data\\\\/a\\\\/" $is_denied_name_0;\n"~^\\\\/data\\\\/" $is_denied_name_1;'],
  ])('leaves a closed directory to the application’s own %s, once', async (text, row) => {
    const { scopes } = await readHtaccess(await appOf({ 'data/.htaccess': 'Deny from all\n' }), '.')
    const own = [{ name: 'x-server.conf', text }]
    const { server, http } = serverConfig({ ...input, scopes, own, web: { dir: '.', why: '', hasIndex: true } })
    expect(http).toContain(row)
    // PHP would run them, whatever a location without ^~ says.
    const phpIsClosed = http.includes('{\nvolatile;\ndefault "";\n"" "";\n"~\\.php$" 1;\n}')
    expect(phpIsClosed).toBe(/location ['/]/.test(text))
    expect(server.match(/location [^{\n]*\/data\//g)).toHaveLength(1)
  })

  it('has one rule for many directories that are closed alike', async () => {
    const tree = Object.fromEntries(['a', 'b', 'c'].map(name => [`${name}/.htaccess`, 'Deny from all\n']))
    const { scopes } = await readHtaccess(await appOf(tree), '.')
    const { http } = serverConfig({ ...input, scopes, web: { dir: '.', why: '', hasIndex: true } })
    expect(http.match(/^map \$name_of_file /gm)).toHaveLength(1)
    expect(http.match(/ \$is_denied_name_0;/g)).toHaveLength(3)
  })

  it('leaves out its own rules where the application has them', () => {
    const own = [
      {
        name: '.nginx.conf.d/x-server.conf',
        text: 'location / {\n try_files $uri /app.php;\n}\nlocation ~ \\.php$ { return 403; }',
      },
    ]
    const { server } = serverConfig({ ...input, own, web: { dir: 'public', why: '', hasIndex: true } })
    expect(server.match(/location \/ /g)).toHaveLength(1)
    expect(server).not.toContain('fastcgi_pass')
  })

  it('lets visitors keep bundles that are made later, by their names', () => {
    const web = { dir: 'public', why: '', hasIndex: true }
    const bundles = ({ server }: { server: string }) => /location ~ "(.*)" \{\ntry_files/.exec(server)?.[1]
    expect(bundles(serverConfig({ ...input, web }))).toBe('^(?<script>.+?\\.php)(?<path_info>/.*)?$')
    const pattern = new RegExp(bundles(serverConfig({ ...input, web, builtLater: true })) ?? '')
    expect(pattern.test('/build/assets/app-Xy3_kP0q.css')).toBe(true)
    expect(pattern.test('/build/app.1a2b3c4d.js')).toBe(true)
    expect(pattern.test('/build/app.js')).toBe(false)
    expect(pattern.test('/build/page-12345678.php')).toBe(false)
    for (const name of ['hero-original.png', 'icon-facebook.svg', 'img/my-calendar.js', 'report-20261130.png'])
      expect(pattern.test(`/assets/${name}`), name).toBe(false)
    // What is there before keeps the headers of its name.
    const { http, server } = serverConfig({ ...input, web, builtLater: true })
    expect(server).toContain(
      'add_header ETag $file_etag;\nadd_header Last-Modified "";\nadd_header Cache-Control $cache_control_of',
    )
    expect(http).toContain('default $cache_control;\n}')
    const ofName = new RegExp(/"~(\^W\/\.\* \/.*?)" /.exec(http)?.[1]?.replaceAll('\\\\', '\\') ?? '')
    expect(ofName.test('W/"1" /assets/hero-original.png')).toBe(false)
    expect(ofName.test('W/"1" /assets/hero-Bx3kd_a1.png')).toBe(true)
  })

  it('runs no file that was uploaded to WordPress', () => {
    const web = { dir: '.', why: '', hasIndex: true }
    expect(serverConfig({ ...input, framework: 'WordPress', web }).server).toContain('(?:uploads|files)/.*\\.php')
  })
})

describe('a framework', () => {
  const name = async (tree: Tree, require: Record<string, string>) => {
    const app = await appOf({ ...tree, 'composer.json': json({ require }) })
    return (await findFramework(app, await readManifest(app, {}), undefined))?.name
  }

  it('has what its applications use and hardly ever name', async () => {
    const find = async (tree: Tree, ...packages: string[]) => {
      const require = Object.fromEntries(packages.map(each => [each, '*']))
      const app = await appOf({ ...tree, 'composer.json': json({ require }) })
      return findFramework(app, await readManifest(app, {}), undefined)
    }
    const laravel = (...more: string[]) => find({ artisan: '' }, 'laravel/framework', ...more)
    expect((await laravel())?.extensions).toContain('redis')
    expect((await laravel('predis/predis'))?.extensions).not.toContain('redis')
    const commandOf = async (type: string, ...more: string[]) =>
      (await laravel(...more))?.processes.find(each => each.type === type)?.command[2]
    expect(await commandOf('worker')).toContain('queue:work')
    expect(await commandOf('migrate')).toContain('artisan migrate --force')
    expect(await commandOf('worker', 'laravel/horizon')).toContain('artisan horizon')
    expect(await commandOf('reverb', 'laravel/reverb')).toContain('reverb:start --port="${PORT:-8080}"')
    expect(await find({ 'public/index.php': '' }, 'codeigniter4/framework')).toMatchObject({
      name: 'CodeIgniter',
      extensions: expect.arrayContaining(['intl', 'mysqli']) as string[],
      written: expect.arrayContaining(['writable/cache']) as string[],
      launch: { CI_ENVIRONMENT: 'production' },
    })
  })

  it('has directories that it can write to, below the one that is served', async () => {
    const written = async (tree: Tree, served: string | undefined) => {
      const app = await appOf({ ...tree, 'composer.json': json({ require: { 'drupal/core': '*' } }) })
      const framework = await findFramework(app, await readManifest(app, {}), undefined)
      return framework && (await placeWritten(app, framework, served)).written
    }
    expect(await written({}, 'docroot')).toEqual(['docroot/sites/default/files'])
    expect(await written({}, '.')).toEqual(['sites/default/files'])
    expect(await written({ 'web/index.php': '' }, undefined)).toEqual(['web/sites/default/files'])
    expect(await written({ 'docroot/index.php': '' }, undefined)).toEqual([])
  })

  it('changes nothing behind a link out of the source', async () => {
    const outside = await temporaryDirectory()
    await writeTree(outside, { 'uploads/key': 'x' })
    await chmod(join(outside, 'uploads/key'), 0o600)
    const app = await appOf({ 'shared/logs/a.log': '', taken: 'a file' })
    await chmod(app.at('shared/logs/a.log'), 0o600)
    await symlink('/nowhere/cache', app.at('cache'))
    await symlink(join(outside, 'uploads'), app.at('uploads'))
    await symlink(outside, app.at('volume'))
    await symlink('shared/logs', app.at('logs'))
    await mkdir(app.at('tmp'))
    const written = ['cache', 'uploads', 'volume', 'volume/more', 'logs', 'taken', 'tmp/a/b']
    await openDirectories(app, { written })
    const mode = async (path: string) => (await stat(path)).mode & 0o777
    expect(await mode(join(outside, 'uploads/key'))).toBe(0o600)
    expect(await readdir(outside)).toEqual(['uploads'])
    expect(await mode(app.at('shared/logs/a.log'))).toBe(0o664)
    expect(await mode(app.at('tmp/a/b'))).toBe(0o775)
  })

  it('compiles the assets of Symfony, which nothing serves in production otherwise', async () => {
    const require = { 'symfony/framework-bundle': '*', 'symfony/asset-mapper': '*' }
    const runs = async (tree: Tree, exitCode = 0) => {
      const app = await appOf({ 'bin/console': '', 'importmap.php': '', ...tree, 'composer.json': json({ require }) })
      const commands: string[] = []
      const run = (argv: readonly string[]) => {
        const [, , command = ''] = argv
        commands.push(command)
        const failed = command === 'asset-map:compile' ? exitCode : 0
        return Promise.resolve({ exitCode: failed, stdout: '', stderr: 'Try running the "importmap:install" command.' })
      }
      const context = { app, env: {}, log: listen().log, run } as unknown as BuildContext
      const framework = await findFramework(app, await readManifest(app, {}), undefined)
      await framework?.finish?.(context, { program: 'php', env: {} } as Php)
      return commands
    }
    expect(await runs({})).toEqual(['cache:warmup', 'asset-map:compile'])
    expect(await runs({ 'public/assets/manifest.json': '{}' })).toEqual(['cache:warmup'])
    expect(await failureOf(runs({}, 1))).toMatchObject({ fix: expect.stringContaining('importmap:install') as string })
  })

  it('is known by its files and packages', async () => {
    expect(await name({ artisan: '' }, { 'laravel/framework': '^12' })).toBe('Laravel')
    expect(await name({ artisan: '' }, {})).toBeUndefined()
    expect(await name({ 'bin/console': '' }, { 'symfony/framework-bundle': '^7' })).toBe('Symfony')
    expect(await name({ 'wp-settings.php': '', 'wp-load.php': '' }, {})).toBe('WordPress')
    expect(await name({}, { 'doctrine/dbal': '^4' })).toBe('Databases')
  })
})

describe('the server', () => {
  const chosen = async (tree: Tree, env: Env = {}) => chosenServer({ app: await appOf(tree), env })

  it.each<[Tree, Env, string]>([
    [{}, {}, 'nginx'],
    [{}, { BP_PHP_SERVER: 'httpd' }, 'httpd'],
    [{}, { BP_PHP_SERVER: 'Apache' }, 'httpd'],
    [{}, { BP_PHP_SERVER: 'php-server' }, 'php-server'],
    [{ Procfile: 'web: vendor/bin/heroku-php-apache2 public/' }, {}, 'httpd'],
    [{ Procfile: 'web: vendor/bin/heroku-php-apache2 public/' }, { BP_PHP_SERVER: 'nginx' }, 'nginx'],
    [{ Procfile: 'web: vendor/bin/heroku-php-nginx public/' }, {}, 'nginx'],
  ])('for %j and %j is %s', async (tree, env, name) => expect(await chosen(tree, env)).toBe(name))

  it('is none of another name', async () => {
    expect(await failureOf(chosen({}, { BP_PHP_SERVER: 'iis' }))).toMatchObject({ where: 'BP_PHP_SERVER' })
  })

  it('Apache closes what is not a page, and hands other paths to index.php where no .htaccess has rules', () => {
    const input = {
      ...{
        apache: '/layers/apache',
        app: '/workspace',
        root: '/workspace',
        vendorDir: 'vendor',
        framework: 'WordPress',
      },
      ...{ web: { dir: '.', why: '', hasIndex: true }, forceHttps: true, own: ['.httpd.conf.d/a.conf'] },
    }
    const config = apacheConfig({ ...input, hasRules: false })
    expect(config).toContain('FallbackResource /index.php')
    expect(config).toContain('<LocationMatch "(?i)^/vendor/">')
    expect(config).toContain('(?:uploads|files)/')
    expect(config).toContain('https://%{HTTP_HOST}%{REQUEST_URI}')
    expect(config).toContain('Include "/workspace/.httpd.conf.d/a.conf"')
    expect(apacheConfig({ ...input, hasRules: true })).not.toContain('FallbackResource')
    // PHP-FPM would run what the rules of .htaccess make of /path, in place of the index.php of /index.php/path.
    expect(config).toMatch(/^ProxyFCGISetEnvIf "true" !PATH_TRANSLATED$/m)
  })
})
