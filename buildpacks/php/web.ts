import { readdir, realpath } from 'node:fs/promises'
import { posix } from 'node:path'
import { type App, BuildpackError, declaredStart, firstSetting } from '../sdk/index.ts'

type Env = Readonly<Record<string, string>>

/** The files that the web server serves. */
export interface Web {
  /** Relative to the application's directory; `.` for all of it. */
  readonly dir: string
  readonly why: string
  /** index.php answers for paths that are no file. */
  readonly hasIndex: boolean
}

/** Usual names of the public directory in frameworks, by precedence. */
const usual = ['public', 'web', 'htdocs', 'webroot', 'pub', 'public_html', 'html', 'www']

/** The programs that name a web server in a Heroku Procfile: `vendor/bin/heroku-php-nginx -C nginx.conf public/`. */
export const herokuStart = /(?:^|[\s;&])(?:vendor\/bin\/)?heroku-php-(?:apache2|nginx)\b([^;&|]*)/

/**
 * The served directory: that of BP_PHP_WEB_DIR; that of a Heroku Procfile; the first of the usual ones with an index.php; or the whole
 * source, if there is a PHP file at its root.
 * @returns undefined if there is nothing to serve
 * @throws BuildpackError for a directory that is outside the source or does not exist
 */
export async function findWeb(app: App, env: Env): Promise<Web | undefined> {
  const web = await chooseWeb(app, env)
  if (web === undefined) return undefined
  const [top, real] = [await realpath(app.path), await realpath(app.at(web.dir))]
  // With a link to /, the whole file system would be public.
  if (real === top || real.startsWith(`${top}/`)) return web
  throw new BuildpackError(`is a link to ${real}, outside the source`, {
    where: web.dir,
    fix: 'replace the link by the directory',
  })
}

async function chooseWeb(app: App, env: Env): Promise<Web | undefined> {
  const setting = firstSetting(env, 'BP_PHP_WEB_DIR', 'RAILPACK_PHP_ROOT_DIR', 'DOCUMENT_ROOT')
  if (setting !== undefined) return named(app, setting.value, setting.name)
  const declared = await declaredStart(app, env)
  const words = herokuStart.exec(declared?.command ?? '')?.[1]
  // Each option of these programs has a value: -C nginx.conf, -F fpm.conf, -i php.ini, -l logs.
  const dir = words?.replaceAll(/(?:^|\s)-\w\s*\S+/g, ' ').trim()
  if (declared !== undefined && words !== undefined)
    return named(app, dir === '' || dir === undefined ? '.' : dir, declared.where)
  for (const name of usual) {
    if (await app.has(`${name}/index.php`)) return { dir: name, why: `${name}/index.php is there`, hasIndex: true }
  }
  if (await app.has('index.php')) return { dir: '.', why: 'index.php is there', hasIndex: true }
  const names = (await readdir(app.path)).filter(name => name.endsWith('.php')).toSorted()
  return names[0] === undefined ? undefined : { dir: '.', why: `${names[0]} is there`, hasIndex: false }
}

async function named(app: App, text: string, where: string): Promise<Web> {
  const dir = posix.normalize(text.replace(/^\/(?:workspace|app)(?=\/|$)\/?/, '') || '.').replace(/(?<=.)\/$/, '')
  const fix = 'name a directory of the source: public'
  if (posix.isAbsolute(dir) || dir === '..' || dir.startsWith('../'))
    throw new BuildpackError(`${JSON.stringify(text.slice(0, 200))} is outside the source`, { where, fix })
  // The name becomes a part of nginx's configuration, where no quoting escapes a dollar.
  if (/[\x00-\x1f\x7f"$\\;{}]/.test(dir))
    throw new BuildpackError(
      `${JSON.stringify(text.slice(0, 200))} has a character that is not allowed in a path of nginx`,
      {
        where,
        fix,
      },
    )
  if (!(await app.hasDirectory(dir)))
    throw new BuildpackError(`there is no directory ${text.slice(0, 200)}`, { where, fix })
  return { dir, why: `${where} names it`, hasIndex: await app.has(posix.join(dir, 'index.php')) }
}

/**
 * Files that are not pages, if the whole source is served: an expression for paths from the root. Names that start with a dot are never
 * served.
 */
export const privateFiles = [
  '^/(?:vendor|node_modules|tests?|storage|bin|config|migrations)/',
  '^/(?:composer|package|package-lock|npm-shrinkwrap|tsconfig|auth|symfony|phpunit|phpstan|psalm|rector|ecs)(?:\\.[\\w.-]*)?\\.(?:json|lock|xml|neon|dist|js|ts)$',
  '^/(?:[\\w-]*\\.lock|pnpm-lock\\.yaml|Procfile|Dockerfile[\\w.-]*|Aptfile|Makefile|artisan|project\\.toml|app\\.yaml|docker-compose[\\w.-]*|compose\\.ya?ml)$',
  '\\.(?:sql|sqlite3?|db|bak|old|orig|save|swp|log|ini|env|inc|sh|neon|twig|phar|pem|key|dist)$',
] as const

/** Frameworks whose visitors upload files. */
export const takesUploads: ReadonlySet<string> = new Set(['WordPress', 'Bedrock', 'Drupal'])
/** An expression for paths: uploaded files must not run as programs. */
export const uploadedPrograms = '^/(?:.*/)?(?:uploads|files)/.*\\.php(?:/|$)'
