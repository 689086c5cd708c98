import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { apacheModules } from '../debian/apache.ts'
import type { App } from '../sdk/index.ts'
import { hiddenPatterns } from './nginx-config.ts'
import { takesUploads, uploadedPrograms, type Web } from './web.ts'

export interface ApacheInput {
  /** The layer with Apache. */
  readonly apache: string
  readonly app: string
  /** The served directory, in the image. */
  readonly root: string
  readonly web: Web
  readonly vendorDir: string | undefined
  readonly framework: string | undefined
  readonly forceHttps: boolean
  /** The served root has a .htaccess, which routes paths. */
  readonly hasRules: boolean
  /** Files of the application's own configuration. */
  readonly own: readonly string[]
}

/** The application's parts of Apache's configuration, in Paketo's layout. */
export async function ownApacheFiles(app: App): Promise<string[]> {
  const dir = '.httpd.conf.d'
  const names = await readdir(app.at(dir)).catch(() => [])
  return names
    .filter(name => name.endsWith('.conf'))
    .toSorted()
    .map(name => join(dir, name))
}

/**
 * Apache's configuration, except for the values that are only known at run time: port, socket and directories. It honours .htaccess
 * files. All files of an image have the same time, so responses get no validator from it.
 */
export function apacheConfig(input: ApacheInput): string {
  const { apache, app, root, web, vendorDir, framework, forceHttps, hasRules, own } = input
  const denied = [
    '/\\.(?!well-known(/|$))',
    ...hiddenPatterns(web, vendorDir),
    ...(takesUploads.has(framework ?? '') ? [uploadedPrograms] : []),
  ]
  return [
    ...apacheModules.map(
      name => `LoadModule ${name}_module ${quoted(`${apache}/usr/lib/apache2/modules/mod_${name}.so`)}`,
    ),
    `TypesConfig ${quoted(`${apache}/etc/mime.types`)}`,
    'AddType text/javascript .mjs',
    'ServerName localhost',
    'UseCanonicalName Off',
    'ServerTokens Prod',
    'ServerSignature Off',
    'TraceEnable Off',
    'FileETag None',
    'Timeout 60',
    'RequestReadTimeout header=20-40,MinRate=500 body=20,MinRate=500',
    'LimitRequestBody 37748736',
    'LogFormat "%h %l %u %t \\"%r\\" %>s %b \\"%{Referer}i\\" \\"%{User-Agent}i\\"" combined',
    // A header Proxy would be HTTP_PROXY, the variable that sets a client's proxy (httpoxy.org).
    'RequestHeader unset Proxy early',
    'SetEnvIfNoCase X-Forwarded-Proto "^https(,|$)" HTTPS=on',
    'AddOutputFilterByType DEFLATE text/html text/plain text/css text/javascript application/javascript text/xml text/csv application/json application/xml application/manifest+json image/svg+xml',
    '<Directory "/">\nAllowOverride None\nOptions None\nRequire all denied\n</Directory>',
    `DocumentRoot ${quoted(root)}`,
    `<Directory ${quoted(root)}>`,
    'AllowOverride All',
    'Options FollowSymLinks',
    'Require all granted',
    'CGIPassAuth On',
    'DirectoryIndex index.php index.html index.htm',
    ...(web.hasIndex && !hasRules ? ['FallbackResource /index.php'] : []),
    '</Directory>',
    ...denied.map(pattern => `<LocationMatch ${quoted(`(?i)${pattern}`)}>\nRequire all denied\n</LocationMatch>`),
    '<FilesMatch "(?<!\\.php)$">\nHeader unset Last-Modified\nHeader setifempty Cache-Control no-cache\nHeader setifempty X-Content-Type-Options nosniff\n</FilesMatch>',
    // Not within <If>, which Apache would apply after the rules of .htaccess, and undo them.
    '<FilesMatch "\\.php$">\nSetHandler "proxy:unix:${PHP_SOCKET}|fcgi://php/"\n</FilesMatch>',
    // The translated path of `/index.php/path` is what the rules of .htaccess make of `/path`. PHP-FPM would run that in place of index.php.
    'ProxyFCGISetEnvIf "true" !PATH_TRANSLATED',
    ...(forceHttps
      ? [
          'RewriteEngine On',
          'RewriteCond %{HTTP:X-Forwarded-Proto} ^http(,|$) [NC]',
          'RewriteRule ^ https://%{HTTP_HOST}%{REQUEST_URI} [R=301,L]',
        ]
      : []),
    ...own.map(name => `Include ${quoted(join(app, name))}`),
    '',
  ].join('\n')
}

/** Quotes a word of Apache's configuration. `$` and `%` stay: Apache replaces only `${NAME}`, which no path here contains. */
const quoted = (text: string): string => `"${text.replaceAll(/["\\](?=["\\]|$)|"/g, '\\$&')}"`
