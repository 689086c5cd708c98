import { readFile, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzip, zstdDecompress } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bale, freePort, serveAndAsk, startBale, ask, digestIn } from './helpers/bale.ts'
import { type ComposerPackage, type ComposerRepository, serveComposer } from './helpers/composer-repository.ts'
import { readImageFiles } from './helpers/image-files.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { type Tree, writeTree } from './helpers/tree.ts'

// Packages are our own, in a repository on loopback, as Packagist is not reachable from everywhere; Composer is the real one.

const secret = 'k9-of-the-repository'
let open: ComposerRepository
let closed: ComposerRepository

const library = (
  name: string,
  version: string,
  more: Record<string, unknown>,
  files: Record<string, string>,
): ComposerPackage => ({
  json: { name, version, license: ['MIT'], ...more },
  files,
})

const router = library(
  'acme/router',
  '1.4.0',
  { require: { 'acme/log': '^2.0', 'ext-mbstring': '*' }, autoload: { 'psr-4': { 'Acme\\Router\\': 'src/' } } },
  {
    'src/Router.php':
      '<?php namespace Acme\\Router; final class Router { public static function route(string $path): string { return \\Acme\\Log\\line(mb_strtoupper($path)); } }',
  },
)
const log = library(
  'acme/log',
  '2.1.0',
  { autoload: { files: ['log.php'] } },
  {
    'log.php': '<?php namespace Acme\\Log; function line(string $text): string { return "[$text]"; }',
  },
)
/** As much of Laravel as its start needs: a program artisan that keeps the caches which Laravel keeps, where Laravel keeps them. */
const framework = library(
  'laravel/framework',
  '12.0.0',
  { autoload: { files: ['app.php'] } },
  {
    'app.php':
      '<?php function cache_file(string $name): string { return getenv($name) ?: throw new Exception("$name is not set"); }',
  },
)

beforeAll(async () => {
  open = await serveComposer([router, log, library('acme/log', '2.0.0', {}, { 'log.php': '<?php' }), framework])
  closed = await serveComposer([log], secret)
})

afterAll(async () => {
  await open[Symbol.asyncDispose]()
  await closed[Symbol.asyncDispose]()
})

async function project(tree: Tree): Promise<string> {
  const dir = await temporaryDirectory()
  await writeTree(dir, tree)
  return dir
}

/** A composer.json that asks nobody but us. */
const manifest = (repository: ComposerRepository, more: Record<string, unknown>) =>
  JSON.stringify({
    repositories: [{ type: 'composer', url: repository.url }, { 'packagist.org': false }],
    ...more,
    config: { 'secure-http': false, ...(more['config'] as object | undefined) },
  })

async function built(image: string, dir: string, ...args: string[]) {
  const ended = await bale(['build', image, '--path', dir, ...args])
  expect(ended.code, ended.output).toBe(0)
  return ended
}

/** What the image's `console` prints. */
async function printed(image: string, code: string): Promise<string> {
  return (await bale(['run', image, '--process', 'console', '--', '-r', code])).stdout
}

const page = `<?php
require __DIR__ . '/../vendor/autoload.php';
if (isset($_GET['kill'])) posix_kill(posix_getppid(), 9);
echo 'first ', Acme\\Router\\Router::route($_SERVER['PATH_INFO'] ?: '/'), class_exists('Acme\\Tools\\Tool') ? ' tools' : '';
`

describe('Composer', () => {
  it('runs a command of the user’s in its place, with packages that are there for the build alone', async () => {
    const image = 'bale-test-php-own-command'
    const dir = await project({
      'composer.json': manifest(open, { require: { 'acme/router': '^1.0' } }),
      'public/index.php': page,
    })
    const tool = library('acme/tool', '1.0.0', { bin: ['tool'] }, { tool: '#!/usr/bin/env php\n<?php echo "made";' })
    await using repository = await serveComposer([tool])
    const config = join(await temporaryDirectory(), 'config.json')
    const { repositories, config: settings } = JSON.parse(manifest(repository, {})) as Record<string, unknown>
    await writeFile(config, JSON.stringify({ repositories, config: settings }))
    const ended = await built(
      image,
      dir,
      ...['--secret', `id=composer,type=composer,key=config.json,src=${config}`],
      ...['--env', 'BP_COMPOSER_INSTALL_GLOBAL=acme/tool'],
      ...['--env', 'RAILPACK_INSTALL_CMD=composer update --no-dev --no-interaction && tool > public/made.txt'],
      ...['--env', 'RAILPACK_BUILD_CMD=php -r "echo PHP_MAJOR_VERSION;" >> public/made.txt'],
    )
    expect(ended.output).toContain('Running composer global require acme/tool')
    expect((await serveAndAsk(image, '/made.txt')).body).toBe('made8')
    expect((await serveAndAsk(image, '/index.php/lamp')).body).toBe('first [/LAMP]')
  })

  it('installs from a repository; a second build with the lock file fetches nothing, and changes one layer; the bytes are the same twice', async () => {
    const image = 'bale-test-php-composer'
    const dir = await project({
      'composer.json': manifest(open, { require: { php: '^8.2', 'acme/router': '^1.0' } }),
      'public/index.php': page,
    })
    const first = await built(image, dir)
    expect(first.output).toContain('there is no composer.lock')
    expect(first.output).toMatch(
      /Locking acme\/log \(2\.1\.0\)[\s\S]*Installing acme\/router \(1\.4\.0\): Extracting archive/,
    )
    expect((await serveAndAsk(image, '/index.php/lamp')).body).toBe('first [/LAMP]')
    await writeFile(join(dir, 'composer.lock'), await printed(image, 'readfile("composer.lock");'))
    const before = digestIn(await bale(['build', image, '--path', dir, '--quiet']))
    const layers = (await readImageFiles(image)).layers
    await writeFile(join(dir, 'public/index.php'), page.replace('first', 'changed'))
    open.requests.length = 0
    const second = await built(image, dir)
    expect(second.output).toContain('Using PHP 8.4.')
    expect(open.requests.filter(path => path.startsWith('/dist/'))).toEqual([])
    const now = (await readImageFiles(image)).layers
    const digests = new Set(layers.map(({ digest }) => digest))
    // Slice 1 has the packages.
    expect(now.filter(({ digest }) => !digests.has(digest)).map(({ what }) => what)).toEqual(['Application Slice: 2'])
    const answer = await serveAndAsk(image, '/index.php/a')
    expect(answer).toEqual({ status: 200, body: 'changed [/A]', code: 0 })
    await writeFile(join(dir, 'public/index.php'), page)
    const again = await bale(['build', `${image}-again`, '--path', dir, '--clear-cache', '--quiet'])
    expect(digestIn(again)).toBe(before)
  }, 300_000)

  it('uses the credentials of a binding, which are nowhere afterwards', async () => {
    const image = 'bale-test-php-secret'
    const dir = await project({
      'composer.json': manifest(closed, { require: { 'acme/log': '*' } }),
      'index.php': "<?php require 'vendor/autoload.php'; echo Acme\\Log\\line('x');",
      'auth.json': '{}',
    })
    const refused = await bale(['build', image, '--path', dir])
    expect(refused.code).not.toBe(0)
    expect(refused.output).toMatch(
      /composer\.json: composer update failed[\s\S]*a binding of the type composer with auth\.json/,
    )
    const auth = join(
      await project({
        'auth.json': JSON.stringify({ 'http-basic': { [closed.host]: { username: 'user', password: secret } } }),
      }),
      'auth.json',
    )
    const { output } = await built(image, dir, '--secret', `id=packages,src=${auth},type=composer,key=auth.json`)
    expect(output).toContain('Composer uses auth.json of the binding packages')
    expect(output).not.toContain(secret)
    expect((await serveAndAsk(image)).body).toBe('[x]')
    const { layers, paths } = await readImageFiles(image)
    expect(paths.filter(path => path.endsWith('/auth.json'))).toEqual([])
    for (const { digest } of layers) expect((await contentsOf(digest)).includes(secret), digest).toBe(false)
  }, 240_000)

  it.each<[string, Record<string, unknown>, Record<string, unknown>, RegExp]>([
    [
      'a lock file without a package of composer.json',
      { require: { 'acme/log': '^2.0' } },
      { 'content-hash': 'x', packages: [], 'packages-dev': [], platform: {}, 'platform-dev': {} },
      /composer install failed with exit status 4\n\s+run composer update, and commit the lock file/,
    ],
    [
      'a script that fails',
      { require: {}, scripts: { 'post-install-cmd': 'exit 7' } },
      { 'content-hash': 'x', packages: [], 'packages-dev': [], platform: {}, 'platform-dev': {} },
      /returned with error code 7[\s\S]*correct the script/,
    ],
  ])(
    '%s is an error with its place',
    async (_what, json, lock, message) => {
      const dir = await project({
        'composer.json': manifest(open, json),
        'index.php': '<?php',
        'composer.lock': JSON.stringify(lock),
      })
      const { code, output } = await bale(['build', 'bale-test-php-refused', '--path', dir])
      expect(code).toBe(51)
      expect(output).toMatch(message)
    },
    120_000,
  )
})

describe('the servers', () => {
  it('answer for files with ETags, hide what is private, and end together', async () => {
    const image = 'bale-test-php-servers'
    await built(
      image,
      await project({
        'index.php':
          "<?php if (isset($_GET['kill'])) posix_kill(posix_getppid(), 9); echo 'index ', $_SERVER['HTTPS'] ?? 'http';",
        'a b/page one.php': "<?php echo 'page';",
        'x.jpg': "<?php echo 'run';",
        'assets/app-1a2b3c4d.css': 'a{}',
        'notes.txt': 'notes',
        'data/.htaccess': 'Deny from all\n',
        'data/users.php': "<?php echo 'users';",
        'data/users.csv': 'users',
        '.env': 'SECRET=1',
        'dump.sql': 'insert',
        'composer.json': '{"repositories":[{"packagist.org":false}]}',
      }),
    )
    const port = await freePort()
    const running = startBale(['run', image, '--env', `PORT=${port}`])
    const url = `http://127.0.0.1:${port}`
    expect((await ask(url, () => running.child.exitCode === null)).body).toBe('index http')
    const status = async (path: string) => (await fetch(url + path)).status
    for (const path of [
      '/.env',
      '/dump.sql',
      '/composer.json',
      '/vendor/autoload.php',
      '/data/users.csv',
      '/data/users.php',
      '/x.jpg/y.php',
      '/a%20b/none.php',
    ])
      expect(await status(path), path).toBe(404)
    expect(await status('/index.php%00')).toBe(400)
    expect(await (await fetch(`${url}/a%20b/page%20one.php`)).text()).toBe('page')
    expect(await (await fetch(`${url}/x.jpg`)).text()).toContain('<?php')
    expect(await (await fetch(url, { headers: { 'x-forwarded-proto': 'https' } })).text()).toBe('index on')
    const file = await fetch(`${url}/notes.txt`)
    const etag = file.headers.get('etag') ?? ''
    expect(file.headers.get('cache-control')).toBe('no-cache')
    expect((await fetch(`${url}/notes.txt`, { headers: { 'if-none-match': etag } })).status).toBe(304)
    const hashed = await fetch(`${url}/assets/app-1a2b3c4d.css`)
    expect(hashed.headers.get('cache-control')).toContain('immutable')
    // Without PHP-FPM nginx would answer 502 for ever.
    await fetch(`${url}/?kill=1`).catch(() => undefined)
    const ended = await running.ended
    expect(ended.code).toBe(1)
    expect(ended.output).toContain('Error: PHP-FPM ended with status 137')
  }, 180_000)

  it('are PHP’s own where BP_PHP_SERVER says so, which hides the same', async () => {
    const image = 'bale-test-php-own-server'
    const dir = await project({ 'index.php': '<?php echo php_sapi_name();', '.env': 'SECRET=1' })
    await built(image, dir, '--env', 'BP_PHP_SERVER=php-server')
    expect(await serveAndAsk(image, '/any/page')).toEqual({ status: 200, body: 'cli-server', code: 0 })
    expect((await serveAndAsk(image, '/.env')).status).toBe(404)
  }, 120_000)

  it('are checked in the build with the application’s parts of their configuration', async () => {
    const dir = await project({ 'index.php': '<?php', '.nginx.conf.d/shop-server.conf': 'locations / {}\n' })
    const { code, output } = await bale(['build', 'bale-test-php-refused', '--path', dir])
    expect(code).toBe(51)
    expect(output).toMatch(
      /\.nginx\.conf\.d\/shop-server\.conf: the servers cannot run with it:\n.*unknown directive "locations"/,
    )
  }, 120_000)
})

describe('Laravel', () => {
  it('has its caches where it can write, and says that it has no key', async () => {
    const image = 'bale-test-php-laravel'
    const artisan = `<?php
require __DIR__ . '/vendor/autoload.php';
match ($argv[1]) {
  'view:cache' => file_put_contents('storage/framework/views/home.php', 'compiled'),
  'event:cache' => file_put_contents('bootstrap/cache/events.php', 'events'),
  'config:cache' => file_put_contents(cache_file('APP_CONFIG_CACHE'), '<?php return ' . var_export(['env' => getenv('APP_ENV'), 'name' => getenv('NAME')], true) . ';'),
  'route:cache' => file_put_contents(cache_file('APP_ROUTES_CACHE'), 'routes'),
};
`
    const dir = await project({
      'composer.json': manifest(open, { require: { 'laravel/framework': '^12' } }),
      artisan,
      'public/index.php': `<?php chdir('..'); require 'vendor/autoload.php';
$config = require cache_file('APP_CONFIG_CACHE');
echo $config['env'], ' ', $config['name'], ' ', file_get_contents('storage/framework/views/home.php'), ' ', is_writable('storage/logs') ? 'writable' : 'read-only', ' ', extension_loaded('pdo_mysql') ? 'mysql' : '', ' ', readlink('public/storage'), filemtime('storage/framework/views/home.php') > filemtime('artisan') ? ' newer' : ' stale';`,
    })
    await built(image, dir)
    expect((await serveAndAsk(image, '/', ['--env', 'NAME=shop'])).body).toBe(
      'production shop compiled writable mysql ../storage/app/public newer',
    )
    const worker = JSON.parse((await bale(['inspect', image, '--output', 'json'])).stdout) as {
      processes: { type: string }[]
    }
    expect(worker.processes.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['worker', 'scheduler', 'console', 'web']),
    )
  }, 180_000)
})

describe('Symfony', () => {
  it('runs for production, with a cache that was warmed in the build', async () => {
    const image = 'bale-test-php-symfony'
    await using repository = await serveComposer([await symfony()])
    const dir = await project({
      'composer.json': manifest(repository, {
        require: { php: '>=8.1', 'symfony/framework-bundle': '^6.4' },
        autoload: { 'psr-4': { 'App\\': 'src/' } },
      }),
      'src/Kernel.php': kernel,
      'bin/console': `<?php
require dirname(__DIR__) . '/vendor/autoload.php';
(new Symfony\\Bundle\\FrameworkBundle\\Console\\Application(new App\\Kernel($_SERVER['APP_ENV'], (bool) $_SERVER['APP_DEBUG'])))->run();
`,
      'public/index.php': `<?php
require dirname(__DIR__) . '/vendor/autoload.php';
$kernel = new App\\Kernel($_SERVER['APP_ENV'], (bool) $_SERVER['APP_DEBUG']);
$kernel->handle(Symfony\\Component\\HttpFoundation\\Request::createFromGlobals())->send();
`,
    })
    const { output } = await built(image, dir)
    expect(output).toContain('Warming the cache of Symfony')
    const { paths } = await readImageFiles(image)
    expect(paths).toContainEqual(expect.stringMatching(/^\/workspace\/var\/cache\/prod\/App_KernelProdContainer\.php$/))
    expect((await serveAndAsk(image, '/hello/world', ['--env', 'APP_SECRET=of-this-run'])).body).toMatch(
      /^Symfony 6\.4\.\d+ prod fast, hello world$/,
    )
    const console = await bale(['run', image, '--process', 'console', '--', 'debug:router', '--format=json'])
    expect(JSON.parse(console.stdout)).toMatchObject({ hello: { path: '/hello/{name}' } })
  }, 240_000)
})

const kernel = `<?php
namespace App;

use Symfony\\Bundle\\FrameworkBundle\\Kernel\\MicroKernelTrait;
use Symfony\\Component\\DependencyInjection\\Loader\\Configurator\\ContainerConfigurator;
use Symfony\\Component\\HttpFoundation\\Response;
use Symfony\\Component\\Routing\\Loader\\Configurator\\RoutingConfigurator;

class Kernel extends \\Symfony\\Component\\HttpKernel\\Kernel
{
    use MicroKernelTrait;

    public function registerBundles(): iterable
    {
        return [new \\Symfony\\Bundle\\FrameworkBundle\\FrameworkBundle()];
    }

    protected function configureContainer(ContainerConfigurator $container): void
    {
        $container->extension('framework', ['secret' => '%env(APP_SECRET)%', 'router' => ['utf8' => true]]);
    }

    protected function configureRoutes(RoutingConfigurator $routes): void
    {
        $routes->add('hello', '/hello/{name}')->controller([$this, 'hello']);
    }

    public function hello(string $name): Response
    {
        $mode = $this->getEnvironment() . ' ' . ($this->isDebug() ? 'debug' : 'fast');
        return new Response('Symfony ' . self::VERSION . " $mode, hello $name");
    }
}
`

/** Symfony as Debian packages it, with all its parts in one package of Composer's. */
async function symfony(): Promise<ComposerPackage> {
  const image = 'bale-test-php-symfony-packages'
  const below = '/layers/bale_apt/packages/usr/share/php'
  const dir = await project({
    Aptfile: 'php-symfony-framework-bundle\nphp-symfony-console\nphp-symfony-string\n',
    Procfile: `web: tar --create --directory ${below} --exclude autoload.php Symfony Psr | base64 --wrap 0\n`,
  })
  await built(image, dir)
  const ran = await bale(['run', image])
  expect(ran.code, ran.stderr).toBe(0)
  const functions = ['Symfony/Contracts/Deprecation/function.php', 'Symfony/Component/String/Resources/functions.php']
  const autoload = { 'psr-4': { 'Symfony\\': 'Symfony/', 'Psr\\': 'Psr/' }, files: functions }
  return {
    json: { name: 'symfony/framework-bundle', version: '6.4.99', autoload },
    files: {},
    tar: Buffer.from(ran.stdout, 'base64'),
  }
}

/** The bytes of a layer in the local store. */
async function contentsOf(digest: string): Promise<Buffer> {
  const data = process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local/share')
  const bytes = await readFile(join(data, 'bale/images/blobs', digest.replace(':', '/')))
  return bytes[0] === 0x1f ? promisify(gunzip)(bytes) : promisify(zstdDecompress)(bytes)
}
