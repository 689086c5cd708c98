import { quoted } from '../debian/nginx-text.ts'
import type { NameRule, Scope } from './htaccess.ts'
import type { PublicFile } from './public-files.ts'
import { privateFiles, takesUploads, uploadedPrograms, type Web } from './web.ts'
import { escapeRegExp } from '../sdk/index.ts'

export interface ConfigInput {
  readonly web: Web
  /** The served directory, in the image. */
  readonly root: string
  /** Its files except PHP files, relative to it. */
  readonly files: readonly PublicFile[]
  readonly framework: string | undefined
  /** The directory of packages, relative to the application's. */
  readonly vendorDir: string | undefined
  readonly forceHttps: boolean
  /** The build adds more files later. Only the names of bundles are known to change with their contents. */
  readonly builtLater: boolean
  /** What .htaccess files deny. */
  readonly scopes: readonly Scope[]
  /** The application's own parts of the `server` block: `location` blocks. */
  readonly own: readonly { readonly name: string; readonly text: string }[]
}

/** The parts of nginx's configuration that are known at build time. Others, such as the port, are only known at run time. */
export interface ServerConfig {
  /** For the `http` block. */
  readonly http: string
  /** For the `server` block. */
  readonly server: string
}

export function serverConfig(input: ConfigInput): ServerConfig {
  return { http: `${http(input).join('\n')}\n`, server: `${server(input).join('\n')}\n` }
}

const year = '"public, max-age=31536000, immutable"'
const bundles = '(?:js|mjs|css|woff2?|png|jpe?g|svg|webp|avif|gif)$'
/** Vite's hash: eight characters of base64url, unlike a word of eight letters or a date. */
const viteHash = '-(?=[a-z_-]*[0-9A-Z])(?![0-9]{8}\\\\.)[\\w-]{8}'
const hashed = `[-.](?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{8,64}\\\\.${bundles}`
const bundlePaths = `^/(?:build|assets)/(?:.*/)?[^/]+${viteHash}\\\\.${bundles}|^/(?:build|assets)/.*${hashed}`

/**
 * All files of an image have the same time, so nginx's own ETags, of time and size, would not change with a file's contents. Answers of
 * PHP and files uploaded at run time get no ETag from this table.
 */
function http({ files, scopes, own }: ConfigInput): string[] {
  const rows = files
    .filter(({ path }) => !/[\x00-\x1f\x7f]/.test(path))
    .map(({ path, hash }) => `${quoted(path)} "W/\\"${hash}\\"";`)
  return [
    'map_hash_bucket_size 512;',
    `map_hash_max_size ${Math.max(2048, rows.length * 4)};`,
    `map $uri $file_etag {\nvolatile;\ndefault "";\n${rows.join('\n')}\n}`,
    'map "$file_etag $http_if_none_match" $is_unchanged {\nvolatile;\ndefault "";\n"~^W/(\\"[^\\"]+\\") .*\\1" 1;\n"~^W/.+ \\*$" 1;\n}',
    // Names that change with the file's contents: Vite's in build/assets, and in general names with a digest.
    `map "$file_etag $uri" $cache_control {\nvolatile;\ndefault "";\n"~^W/.* /(?:build|assets)/(?:.*/)?[^/]+${viteHash}\\\\.\\w+$" ${year};\n"~^W/.*${hashed}" ${year};\n"~^W/" "no-cache";\n}`,
    `map $file_etag $cache_control_of_bundle {\nvolatile;\n"" ${year};\ndefault $cache_control;\n}`,
    'map $file_etag $nosniff {\nvolatile;\n"" "";\ndefault "nosniff";\n}',
    'map $http_x_forwarded_proto $is_insecure { "~*^http(,|$)" 1; default ""; }',
    // Debian's fastcgi_params give PHP the host without its port. The header's port is that of the request only if both name the same host.
    'map "$host $http_host" $port_of_host { "~*^(\\S+) \\1(?<port_in_header>:[0-9]+)$" $port_in_header; default ""; }',
    'map $http_x_forwarded_proto $https_of_proxy { "~*^https(,|$)" on; default $https; }',
    ...accessMaps(scopes, ownLocations(own)),
  ]
}

/**
 * The variable `$is_denied`. nginx tries the expressions of a map in their order. For a path below a PHP file, which runs for it, the
 * PHP file counts. A directory's index is another request, so a block for names does not apply to the directory.
 */
function accessMaps(scopes: readonly Scope[], own: readonly OwnLocation[]): string[] {
  if (scopes.length === 0) return []
  // Sites have many directories with the same rules.
  const variables = new Map<string, string>()
  const verdict = (names: readonly NameRule[], isClosed: boolean, closesPhp = isClosed): string => {
    const otherwise = isClosed ? '1' : '""'
    const rules = names.map(({ expression, grants }) => `${quoted(`~${expression}`)} ${grants ? '""' : '1'};`)
    const body = [`default ${otherwise};`, `"" ${otherwise};`, ...(closesPhp ? ['"~\\.php$" 1;'] : []), ...rules].join(
      '\n',
    )
    const variable = variables.get(body) ?? `$is_denied_name_${variables.size}`
    variables.set(body, variable)
    return variable
  }
  const rows = scopes.flatMap(({ dir, closedBy, names }) => {
    const opened = own
      .filter(({ path, modifier }) => modifier !== '=' && closedBy !== undefined && path.startsWith(closedBy))
      .filter(({ path }) => path.startsWith(dir) || dir.startsWith(path))
      .map(({ path, modifier }) => {
        // Without ^~, PHP files go to PHP in place of the location.
        const opens = verdict(names, false, modifier === undefined)
        return `"~^${pathPattern(path.length > dir.length ? path : dir)}" ${opens};`
      })
    return [...opened, `"~^${pathPattern(dir)}" ${verdict(names, closedBy !== undefined)};`]
  })
  const exact = own.filter(({ modifier }) => modifier === '=').map(({ path }) => `"~^${pathPattern(path)}$" "";`)
  return [
    'map $uri $file_of_path { volatile; default $uri; "~(?s)^(?<php_file>.+?\\.php)(?:/|$)" $php_file; }',
    'map $file_of_path $name_of_file { volatile; default ""; "~(?<last_name>[^/]*)$" $last_name; }',
    ...Array.from(variables, ([body, variable]) => `map $name_of_file ${variable} {\nvolatile;\n${body}\n}`),
    ['map $file_of_path $is_denied_file {', 'volatile;', 'default "";', ...rows, '}'].join('\n'),
    ['map $uri $is_denied {', 'volatile;', 'default $is_denied_file;', ...exact, '}'].join('\n'),
  ]
}

/** An expression for a literal path, in quotes of nginx. */
const pathPattern = (path: string) => quoted(escapeRegExp(path)).slice(1, -1)

interface OwnLocation {
  readonly path: string
  readonly modifier: string | undefined
}

/** The application's own locations for literal paths: they count more than a .htaccess that closes their directory. */
function ownLocations(own: ConfigInput['own']): OwnLocation[] {
  const location = /\blocation\s+(=|\^~)?\s*(?:"(\/[^"\n]*)"|'(\/[^'\n]*)'|(\/[^\s{;"']*))\s*\{/g
  return own.flatMap(({ text }) =>
    Array.from(text.replaceAll(/(?<=^|\s)#.*$/gm, '').matchAll(location), ([, modifier, double, single, bare]) => ({
      path: double ?? single ?? bare ?? '',
      modifier,
    })),
  )
}

function server({ web, root, framework, vendorDir, forceHttps, builtLater, scopes, own }: ConfigInput): string[] {
  const ownTexts = own.map(({ name, text }) => `# ${name}\n${text.trim()}`)
  const has = (location: string) =>
    ownTexts.some(text => new RegExp(`^[^#\\n]*\\blocation\\s+${location}\\s*\\{`, 'm').test(text))
  const otherwise = web.hasIndex ? '/index.php$is_args$args' : '=404'
  const hidden = hiddenPatterns(web, vendorDir).map(pattern => `location ~* ${quotedPattern(pattern)} { return 404; }`)
  return [
    `root ${quoted(root)};`,
    'index index.php index.html index.htm;',
    ...(forceHttps ? ['if ($is_insecure) { return 301 https://$host$request_uri; }'] : []),
    'add_header ETag $file_etag;',
    'add_header Last-Modified "";',
    'add_header Cache-Control $cache_control;',
    'add_header X-Content-Type-Options $nosniff;',
    // Before the answer that a file is unchanged, which would confirm a guess of its contents.
    ...(scopes.length === 0 ? [] : ['if ($is_denied) { return 404; }']),
    'if ($is_unchanged) { return 304; }',
    // Settings, version histories and secrets.
    'location ~ "/\\.(?!well-known(/|$))" { return 404; }',
    ...hidden,
    ...(takesUploads.has(framework ?? '') ? [`location ~* "${uploadedPrograms}" { return 404; }`] : []),
    ...ownTexts,
    ...(builtLater ? [bundlesLocation(otherwise)] : []),
    ...(has('/') ? [] : [`location / { try_files $uri $uri/ ${otherwise}; }`]),
    ...(has('~\\*?\\s+["\']?\\S*php\\S*') ? [] : [phpLocation]),
  ]
}

/**
 * Files that are built later are not in the ETag table. Bundlers name a file by its contents, so visitors do not have to request it
 * again.
 */
const bundlesLocation = (otherwise: string) => `location ~ "${bundlePaths.replaceAll('\\\\', '\\')}" {
try_files $uri ${otherwise};
add_header ETag $file_etag;
add_header Last-Modified "";
add_header Cache-Control $cache_control_of_bundle;
add_header X-Content-Type-Options nosniff;
}`

/** Expressions for paths that are not served although they are below the served directory. */
export function hiddenPatterns({ dir }: Web, vendorDir: string | undefined): readonly string[] {
  if (dir !== '.') return []
  return [...privateFiles, ...(vendorDir === undefined ? [] : [`^/${escapeRegExp(vendorDir)}/`])]
}

const quotedPattern = (pattern: string) => `"${pattern.replaceAll('"', '\\"')}"`

/**
 * `/index.php/path` runs index.php with PATH_INFO. Only an existing file whose name ends in .php runs. `/x.jpg/y.php` does not exist,
 * whatever PHP's cgi.fix_pathinfo would make of it.
 */
export const phpLocation = `location ~ "^(?<script>.+?\\.php)(?<path_info>/.*)?$" {
try_files $script =404;
include fastcgi_params_of_nginx;
fastcgi_param SCRIPT_FILENAME $document_root$script;
fastcgi_param SCRIPT_NAME $script;
fastcgi_param PATH_INFO $path_info;
fastcgi_param HTTPS $https_of_proxy if_not_empty;
fastcgi_param HTTP_HOST $host$port_of_host;
# A header Proxy would be HTTP_PROXY, the variable that sets a client's proxy (httpoxy.org).
fastcgi_param HTTP_PROXY "";
fastcgi_pass php;
# Headers of files are not for what PHP answers: its own Last-Modified stays.
add_header X-None "";
}`
