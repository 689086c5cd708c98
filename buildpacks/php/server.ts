import { existsSync } from 'node:fs'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import type { DebianArchive } from '../debian/archive.ts'
import { provideApache } from '../debian/apache.ts'
import { provideNginx } from '../debian/nginx.ts'
import {
  type App,
  type BuildContext,
  BuildpackError,
  byDefault,
  digestOf,
  composerPackages,
  firstSetting,
  isSet,
  type Layer,
} from '../sdk/index.ts'
import { apacheConfig, ownApacheFiles } from './apache.ts'
import type { Framework } from './frameworks.ts'
import { startsApache } from './heroku.ts'
import { readHtaccess, type Scope } from './htaccess.ts'
import { hiddenPatterns, serverConfig } from './nginx-config.ts'
import { phpRouter } from './php-router.ts'
import { publicFiles, publicPaths } from './public-files.ts'
import type { Php } from './runtime.ts'
import { serveScript } from './serve-script.ts'
import type { Sessions } from './sessions.ts'
import type { Web } from './web.ts'

/** The servers that BP_PHP_SERVER may name. */
export type Server = 'nginx' | 'httpd' | 'php-server'

export interface ServerInput {
  readonly php: Php
  readonly web: Web
  readonly framework: Framework | undefined
  readonly sessions: Sessions | undefined
  readonly memoryLimit: string | undefined
  /** The directory of packages. */
  readonly vendorDir: string | undefined
}

/**
 * The server of BP_PHP_SERVER; Apache for a Procfile that starts Heroku's; else nginx.
 * @throws BuildpackError for an unknown server
 */
export async function chosenServer({ app, env }: Pick<BuildContext, 'app' | 'env'>): Promise<Server> {
  const setting = firstSetting(env, 'BP_PHP_SERVER')
  const name = setting?.value.toLowerCase()
  if (name === undefined) return (await startsApache(app, env)) ? 'httpd' : 'nginx'
  if (name === 'apache' || name === 'apache2') return 'httpd'
  if (name === 'nginx' || name === 'httpd' || name === 'php-server') return name
  throw new BuildpackError(`${JSON.stringify(setting?.value.slice(0, 60))} is not a server for PHP`, {
    where: 'BP_PHP_SERVER',
    fix: 'write nginx or httpd, which run PHP-FPM behind them, or php-server',
  })
}

/** Puts the program `serve-php` and everything that it starts into layers of the image. */
export async function provideServer(
  context: BuildContext,
  archive: DebianArchive,
  server: Server,
  input: ServerInput,
): Promise<void> {
  if (server === 'php-server') return providePhpServer(context, input)
  if (server === 'httpd') return provideApacheServer(context, archive, input)
  const { app, env, layer, log } = context
  const { web, framework, php, memoryLimit, vendorDir } = input
  const nginx = await provideNginx(context, archive)
  const root = app.at(web.dir)
  const own = await ownConfigs(app)
  const scopes = await accessRules(context, web)
  const hidden = hiddenPatterns(web, vendorDir)
  const changing = (framework?.written ?? []).map(dir => `/${posix.relative(web.dir, dir)}/`)
  const files = await publicFiles(root, publicPaths({ hidden, scopes, changing }))
  const config = serverConfig({
    web,
    root: root.replace(/\/$/, ''),
    files,
    framework: framework?.name,
    vendorDir,
    forceHttps: isSet(env, 'BP_PHP_ENABLE_HTTPS_REDIRECT'),
    builtLater: context.plan.some(({ name }) => name === composerPackages),
    scopes,
    own: own.server,
  })
  const texts = {
    http: `${commonHttp(nginx)}${config.http}${own.http.map(({ name, text }) => `# ${name}\n${text.trim()}\n`).join('')}`,
    server: config.server.replaceAll(
      'include fastcgi_params_of_nginx;',
      `include ${nginx.path}/etc/nginx/fastcgi_params;`,
    ),
  }
  const fpmFiles = own.fpm.length > 0
  const script = (dir: string) =>
    serveScript({
      server: { name: 'nginx', path: nginx.path },
      dir,
      app: app.path,
      root,
      memoryLimit,
      fpmFiles,
      prepare: preparationOf(input),
    })
  const made = await layer('server', {
    types: { launch: true },
    key: {
      server: digestOf(texts.http, texts.server, script(''), ...own.fpm.map(({ text }) => text)),
      PHP: php.version,
    },
    create: async dir => {
      await mkdir(join(dir, 'bin'))
      await writeFile(join(dir, 'http.conf'), texts.http)
      await writeFile(join(dir, 'server.conf'), texts.server)
      await writeFile(join(dir, 'bin/serve-php'), script(dir), { mode: 0o755 })
    },
  })
  log.info(`nginx and PHP-FPM serve ${web.dir === '.' ? 'the whole source' : `${web.dir}/`}: ${web.why}`)
  await check(context, made, php, [
    ...[...own.server, ...own.http, ...own.fpm].map(({ name }) => name),
    // nginx also compiles its expressions.
    ...(scopes.length === 0 ? [] : ['.htaccess']),
  ])
}

/** Apache, with unchanged .htaccess files. */
async function provideApacheServer(context: BuildContext, archive: DebianArchive, input: ServerInput): Promise<void> {
  const { app, env, layer, log } = context
  const { web, framework, php, memoryLimit, vendorDir } = input
  const { path: apache } = await provideApache(context, archive)
  const root = app.at(web.dir).replace(/\/$/, '')
  const own = await ownApacheFiles(app)
  const { fpm } = await ownConfigs(app)
  const config = apacheConfig({
    ...{ apache, app: app.path, root, web, vendorDir, own, framework: framework?.name },
    forceHttps: isSet(env, 'BP_PHP_ENABLE_HTTPS_REDIRECT'),
    hasRules: await app.has(posix.join(web.dir, '.htaccess')),
  })
  const prepare = preparationOf(input)
  const common = { server: { name: 'httpd', path: apache }, app: app.path, root, memoryLimit, prepare } as const
  const script = (dir: string) => serveScript({ ...common, dir, fpmFiles: fpm.length > 0 })
  const made = await layer('server', {
    types: { launch: true },
    key: { server: digestOf(config, script(''), ...fpm.map(({ text }) => text)), PHP: php.version },
    create: async dir => {
      await mkdir(join(dir, 'bin'))
      await writeFile(join(dir, 'httpd.conf'), config)
      await writeFile(join(dir, 'bin/serve-php'), script(dir), { mode: 0o755 })
    },
  })
  log.info(`Apache and PHP-FPM serve ${web.dir === '.' ? 'the whole source' : `${web.dir}/`}: ${web.why}`)
  await check(context, made, php, [...own, ...fpm.map(({ name }) => name)])
}

/** What .htaccess files deny. Logs it, and warns of other rules in such files. */
async function accessRules({ app, log }: BuildContext, web: Web): Promise<readonly Scope[]> {
  const { scopes, closedPhp, lost } = await readHtaccess(app, web.dir)
  const texts = scopes.map(({ dir, closedBy, names }) => {
    if (closedBy === undefined) return `some names in ${dir}`
    return names.some(({ grants }) => grants) ? `${dir} (except what it grants)` : dir
  })
  if (texts.length > 0) log.info(`Not served, as .htaccess denies access: ${firstOf(texts.toSorted())}`)
  if (closedPhp.length > 0)
    log.warning(
      `${firstOf(closedPhp)}: PHP files in a directory that .htaccess closes do not run, though it grants them`,
      'Move them out of the directory, or set BP_PHP_SERVER=httpd.',
    )
  if (lost.length > 0)
    log.warning(
      `${firstOf(lost)}: rules without effect, as nginx reads no .htaccess`,
      'Put them into .nginx.conf.d/rules-server.conf, or set BP_PHP_SERVER=httpd: Apache reads them.',
    )
  return scopes
}

const firstOf = (texts: readonly string[]): string =>
  `${texts.slice(0, 5).join(', ')}${texts.length > 5 ? ` and ${texts.length - 5} more` : ''}`

/** Makes both programs check their configuration, if the application contributes to it: an error fails the build. */
async function check({ run, env }: BuildContext, { path }: Layer, php: Php, names: readonly string[]): Promise<void> {
  const program = join(path, 'bin/serve-php')
  if (!existsSync(program) || names.length === 0) return
  const { exitCode, stdout, stderr } = await run([program, '--check'], {
    env: { ...php.env, PORT: env['PORT'] || '8080' },
    quiet: true,
    allowFailure: true,
  })
  const output = stdout + stderr
  const faults = output
    .split('\n')
    .filter(line => /\[emerg\]|ERROR|^AH\d|[Ss]yntax error|Invalid command/.test(line) && !/host not found/.test(line))
  if (exitCode !== 0 && faults.length > 0)
    throw new BuildpackError(`the servers cannot run with it:\n${faults.join('\n')}`, {
      where: names.join(', '),
      fix: 'correct the places that they name',
    })
}

interface OwnConfigs {
  readonly server: readonly OwnConfig[]
  readonly http: readonly OwnConfig[]
  readonly fpm: readonly OwnConfig[]
}

interface OwnConfig {
  readonly name: string
  readonly text: string
}

/** The application's parts of the servers' configuration, in Paketo's layout. */
async function ownConfigs(app: App): Promise<OwnConfigs> {
  const read = async (dir: string, ending: string) => {
    const names = (await readdir(app.at(dir)).catch(() => [])).filter(name => name.endsWith(ending)).toSorted()
    const paths = names.map(name => posix.join(dir, name))
    return Promise.all(paths.map(async name => ({ name, text: (await app.read(name)) ?? '' })))
  }
  return {
    server: await read('.nginx.conf.d', '-server.conf'),
    http: await read('.nginx.conf.d', '-http.conf'),
    fpm: await read('.php.fpm.d', '.conf'),
  }
}

function commonHttp({ path }: Layer): string {
  return `include ${path}/etc/nginx/mime.types;
types {
text/javascript mjs;
application/manifest+json webmanifest;
}
default_type application/octet-stream;
charset utf-8;
charset_types text/plain text/css text/javascript application/javascript text/xml text/csv application/json application/xml application/manifest+json;
sendfile on;
tcp_nopush on;
server_tokens off;
absolute_redirect off;
etag off;
if_modified_since off;
client_max_body_size 36m;
fastcgi_buffer_size 32k;
fastcgi_buffers 16 16k;
gzip on;
gzip_static on;
gzip_vary on;
gzip_proxied any;
gzip_types text/plain text/css text/javascript application/javascript text/xml text/csv application/json application/xml application/manifest+json image/svg+xml;
`
}

const preparationOf = ({ framework, sessions }: ServerInput) => `${sessions?.prepare ?? ''}${framework?.prepare ?? ''}`

/** PHP's own server would serve files whose name starts with a dot. */
async function providePhpServer(context: BuildContext, input: ServerInput): Promise<void> {
  const { app, layer, log } = context
  const { web, memoryLimit, vendorDir } = input
  const root = app.at(web.dir)
  const scopes = await accessRules(context, web)
  const router = phpRouter(['/\\.(?!well-known(/|$))', ...hiddenPatterns(web, vendorDir)], scopes)
  const prepare = preparationOf(input)
  const script = (dir: string) =>
    serveScript({ server: undefined, dir, app: app.path, root, memoryLimit, fpmFiles: false, prepare })
  await layer('server', {
    types: { launch: true },
    key: { server: digestOf(router, script('')) },
    create: async dir => {
      await mkdir(join(dir, 'bin'))
      await writeFile(join(dir, 'router.php'), router)
      await writeFile(join(dir, 'bin/serve-php'), script(dir), { mode: 0o755 })
      return { env: { launch: { PHP_OPCACHE_ENABLE_CLI: byDefault('1') } } }
    },
  })
  log.info(
    `PHP's own server, which is for development, serves ${web.dir === '.' ? 'the whole source' : `${web.dir}/`}: ${web.why}`,
  )
}
