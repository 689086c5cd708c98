import type { SiteFile } from './files.ts'
import type { HeaderRules } from './headers.ts'
import { escapeRegExp } from '../sdk/index.ts'
import { quoted } from '../debian/nginx-text.ts'
import { pageVersion } from './runtime-pages.ts'
import type { Redirect } from './redirects.ts'
import type { Site } from './site.ts'

export interface ConfigInput {
  readonly site: Site
  readonly files: readonly SiteFile[]
  readonly redirects: readonly Redirect[]
  readonly headers: readonly HeaderRules[]
  /** The directory of the site, in the image. */
  readonly root: string
  /** Files whose names start with a dot are served. */
  readonly dotFiles: boolean
  /** The server includes other files in pages (nginx.org, ngx_http_ssi_module). */
  readonly ssi: boolean
  /** Paths of pages that are rewritten at run time. */
  readonly pages: ReadonlySet<string>
}

/** The parts of nginx's configuration that are known at build time. Others, such as the port, are only known at run time. */
export interface SiteConfig {
  /** For the `http` block. */
  readonly http: string
  /** For the `server` block. */
  readonly server: string
}

/** Types for which no other page answers: for a missing script, the start page with status 200 would be wrong. */
const assets =
  'js|mjs|css|map|json|png|jpe?g|gif|svg|ico|webp|avif|woff2?|ttf|otf|eot|wasm|txt|xml|pdf|mp4|webm|webmanifest'

export function siteConfig(input: ConfigInput): SiteConfig {
  const { headers } = input
  const cacheControl = headers.find(({ name }) => name.toLowerCase() === 'cache-control')
  const others = headers.filter(rules => rules !== cacheControl)
  const http = [
    etagMaps(input),
    cacheMap(input, cacheControl),
    ...others.map((rules, index) => headerMap(rules, index)),
    'map $request_uri $request_path { "~^([^?]*)" $1; }',
    'map $http_x_forwarded_proto $is_insecure { "~*^http(,|$)" 1; default ""; }',
  ]
  const server = [
    `root ${quoted(input.root)};`,
    `index ${quoted(input.site.index)};`,
    ...(input.site.listing ? ['autoindex on;'] : []),
    ...(input.ssi ? ['ssi on;'] : []),
    ...(input.site.forceHttps ? ['if ($is_insecure) { return 301 https://$host$request_uri; }'] : []),
    ...errorPages(input),
    'add_header ETag $file_etag always;',
    'add_header Last-Modified "" always;',
    'add_header Cache-Control $cache_control always;',
    'add_header X-Content-Type-Options $nosniff always;',
    ...others.map(({ name }, index) => `add_header ${name} $header_${index} always;`),
    ...forcedRules(input.redirects),
    ...(input.site.prefix === '' ? [] : [`location = / { return 302 ${input.site.prefix}/; }`]),
    'if ($is_unchanged) { return 304; }',
    // Settings, and files that users do not mean to publish.
    ...(input.dotFiles ? [] : ['location ~ "/\\.(?!well-known(/|$))" { return 404; }']),
    `location ~ "^${escapeRegExp(input.site.prefix)}/(_redirects|_headers|Staticfile|Staticfile\\.auth|Procfile|project\\.toml|static\\.json)$" { return 404; }`,
    `location ~ "${input.site.isBuilt ? `^${escapeRegExp(input.site.prefix)}` : ''}/node_modules/" { return 404; }`,
    `location ~ "\\.(${assets})$" { try_files $uri ${fallback(input, false)}; }`,
    `location / { try_files $uri $uri.html $uri/ ${fallback(input, true)}; }`,
    ...namedLocations(input),
  ]
  const ownSniff = others.some(({ name }) => name.toLowerCase() === 'x-content-type-options')
  http.push(`map $uri $nosniff { default ${ownSniff ? '""' : '"nosniff"'}; }`)
  return { http: `${http.join('\n')}\n`, server: `${server.join('\n')}\n` }
}

/**
 * ETags by content. All files of an image have the same time, so nginx's own ETags, of time and size, would not change with a file's
 * contents. They are weak, since the compressed form has the same ETag.
 */
function etagMaps({ files, pages, site, ssi }: ConfigInput): string {
  const rows = files.flatMap(({ path, hash }) => {
    // The response changes with the files that the page includes.
    if (ssi && isPage(path)) return []
    const names = [path, ...(path.endsWith(`/${site.index}`) ? [path.slice(0, -site.index.length)] : [])]
    if (path.endsWith('.html')) names.push(path.slice(0, -'.html'.length))
    return names
      .filter(name => !/[\x00-\x1f\x7f]/.test(name))
      .map(name => `${mapKey(name)} "W/\\"${hash}${pages.has(path) ? pageVersion : ''}\\"";`)
  })
  const unique = [...new Map(rows.map(row => [row.slice(0, row.lastIndexOf(' "W/')), row])).values()]
  return [
    'map_hash_bucket_size 512;',
    `map_hash_max_size ${Math.max(2048, unique.length * 4)};`,
    `map $uri $file_etag {\nvolatile;\ndefault "";\n${unique.join('\n')}\n}`,
    'map "$file_etag $http_if_none_match" $is_unchanged {\nvolatile;\ndefault "";\n"~^W/(\\"[^\\"]+\\") .*\\1" 1;\n"~^W/.+ \\*$" 1;\n}',
  ].join('\n')
}

/** Whether a file has the type text/html, in which nginx looks for includes. */
export const isPage = (path: string): boolean => /\.s?html?$/.test(path)

/** A literal key of a map: `~` would start a regular expression, and `\` escapes it; a `$` in a key has no special meaning. */
function mapKey(path: string): string {
  return quoted(path)
}

/** Browsers ask each time whether a file has changed, except for files whose name changes with their contents. */
function cacheMap({ site }: ConfigInput, rules: HeaderRules | undefined): string {
  const year = '"public, max-age=31536000, immutable"'
  const own = (rules?.values ?? [])
    .toReversed()
    .map(({ pattern, value }) => `${quoted(`~${pattern}`)} ${quoted(value)};`)
  const hashed = site.hashed.map(
    dir => `"~^${escapeRegExp(site.prefix)}/${escapeRegExp(dir)}/.*[-._][A-Za-z0-9_-]{8,}\\\\.[a-z0-9.]+$" ${year};`,
  )
  const hexadecimal = `"~[-.](?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{8,64}\\\\.(chunk\\\\.)?(${assets})$" ${year};`
  return `map $uri $cache_control {\nvolatile;\ndefault "no-cache";\n${[...own, ...hashed, hexadecimal].join('\n')}\n}`
}

function headerMap({ values }: HeaderRules, index: number): string {
  const rows = values.toReversed().map(({ pattern, value }) => `${quoted(`~${pattern}`)} ${quoted(value)};`)
  return `map $request_path $header_${index} {\ndefault "";\n${rows.join('\n')}\n}`
}

function errorPages({ files, site }: ConfigInput): string[] {
  const names = new Set(files.map(({ path }) => path))
  const statuses = [400, 401, 403, 404, 500].map(String)
  return [...new Set([...statuses, ...Object.keys(site.errors)])].flatMap(status => {
    const named = site.errors[status]
    const page = [...(named === undefined ? [] : [`/${named}`]), `/${status}.html`, `/${status}/index.html`]
      .map(name => site.prefix + name)
      .find(name => names.has(name))
    return page === undefined ? [] : [`error_page ${status} ${page};`]
  })
}

/** The response for a path that is not a file. */
function fallback({ redirects, site }: ConfigInput, isPage: boolean): string {
  if (redirects.some(({ force }) => !force)) return isPage ? '@redirects' : '@redirects_of_assets'
  return site.pushState !== undefined && isPage ? `${site.prefix}/${site.pushState}` : '=404'
}

function forcedRules(redirects: readonly Redirect[]): string[] {
  return redirects.filter(({ force, status }) => force && status !== 200).map(ruleOf)
}

function namedLocations(input: ConfigInput): string[] {
  const rules = input.redirects.filter(({ force }) => !force)
  if (rules.length === 0) return []
  const last = (isPage: boolean) =>
    input.site.pushState !== undefined && isPage
      ? `rewrite ^ ${input.site.prefix}/${input.site.pushState} last;`
      : 'return 404;'
  // `/* /index.html 200` is only for pages: a missing script must not get it.
  const ofAssets = rules.filter(({ status, pattern }) => !(status === 200 && pattern === '^(?:/+(.*))?$'))
  return [
    `location @redirects {\n${[...rules.map(ruleOf), last(true)].join('\n')}\n}`,
    `location @redirects_of_assets {\n${[...ofAssets.map(ruleOf), last(false)].join('\n')}\n}`,
  ]
}

function ruleOf({ pattern, target, status }: Redirect): string {
  const condition = `if ($request_path ~ ${quoted(pattern)})`
  if (status === 200) return `${condition} { rewrite ^ ${quoted(target)} last; }`
  if (status >= 400) return `${condition} { return ${status}; }`
  const query = target.includes('?') ? '' : '$is_args$args'
  return `${condition} { return ${status} ${quoted(target)}; }`.replace(/"; }$/, `${query}"; }`)
}
