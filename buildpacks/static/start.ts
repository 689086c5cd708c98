import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findBound, shellQuote, textOfFile } from '../sdk/index.ts'
import type { Htpasswd } from './auth.ts'
import type { SiteConfig } from './config.ts'
import type { Piece } from './own-config.ts'
import { declareVersion, type RuntimePage, servePages, writePages } from './runtime-pages.ts'

export interface StartInput {
  /** The layer with nginx. */
  readonly nginx: string
  readonly config: SiteConfig
  readonly auth: Htpasswd | undefined
  readonly pages: readonly RuntimePage[]
}

/** Writes the part of the configuration that is known at build time, and the program that adds the rest and becomes nginx. */
export async function writeStart(dir: string, { nginx, config, auth, pages }: StartInput): Promise<void> {
  await mkdir(join(dir, 'bin'))
  const http = join(dir, 'http.conf')
  const server = join(dir, 'server.conf')
  await writeFile(http, `${await types(nginx)}${config.http}`)
  await writeFile(server, config.server)
  await writeFile(join(dir, 'bin/serve-site'), script(nginx, { http, server }, auth, pages), { mode: 0o755 })
}

/** Types of files that Debian's table does not have, or has with another name. */
const ownTypes = {
  js: 'text/javascript',
  mjs: 'text/javascript',
  webmanifest: 'application/manifest+json',
  md: 'text/markdown',
  avif: 'image/avif',
}

/** nginx warns of an extension with two types, so the table is written again without the extensions in ownTypes. */
async function typeTable(nginx: string): Promise<string> {
  const table = await readFile(join(nginx, 'etc/nginx/mime.types'), 'utf8')
  const theirs = Array.from(table.matchAll(/^\s+([\w.+-]+\/[\w.+-]+)\s+([^;{}]+);/gm), ([, type, endings = '']) => {
    const kept = endings
      .trim()
      .split(/\s+/)
      .filter(ending => !Object.hasOwn(ownTypes, ending))
    return kept.length === 0 ? '' : `${type} ${kept.join(' ')};\n`
  })
  const ours = Object.entries(ownTypes).map(([ending, type]) => `${type} ${ending};\n`)
  return `types {\n${[...theirs, ...ours].join('')}}\n`
}

async function types(nginx: string): Promise<string> {
  return `${await typeTable(nginx)}default_type application/octet-stream;
charset utf-8;
charset_types text/plain text/css text/javascript text/markdown text/xml text/csv application/json application/xml application/manifest+json;
sendfile on;
tcp_nopush on;
server_tokens off;
absolute_redirect off;
etag off;
if_modified_since off;
gzip_static on;
gzip_vary on;
brotli_static on;
`
}

/** In sh and with programs that every run image has. It writes only to a directory in TMPDIR. */
const readPort = `#!/bin/sh
# Writes the part of nginx's configuration that is known at run time, and becomes nginx.
set -eu
port=\${PORT:-8080}
case $port in
  *[!0-9]*)
    echo "Error: PORT is $port, which is not a number" >&2
    exit 1
    ;;
esac
`

const makeTempDir = `dir=$(mktemp -d "\${TMPDIR:-/tmp}/nginx-XXXXXX")
access='off'
# Where it is a socket, it cannot be opened by this name.
if (: >>/dev/stdout) 2>/dev/null; then access='/dev/stdout'; fi
`

/** Writes the program that completes the application's own configuration, and becomes nginx with the application as its prefix. */
export async function writeOwnStart(
  dir: string,
  { nginx, app, pieces }: { readonly nginx: string; readonly app: string; readonly pieces: readonly Piece[] },
): Promise<void> {
  const words = pieces.map(piece => (typeof piece === 'string' ? shellQuote(piece) : `"${valueOf(piece, nginx)}"`))
  const write = `printf %s ${words.join(' ')} >"$dir/nginx.conf"\n`
  const become = `exec ${nginx}/usr/sbin/nginx -e stderr -p ${shellQuote(app)} -c "$dir/nginx.conf" "$@"\n`
  await mkdir(join(dir, 'bin'))
  await writeFile(join(dir, 'bin/serve-site'), readPort + makeTempDir + write + become, { mode: 0o755 })
}

function valueOf(piece: Exclude<Piece, string>, nginx: string): string {
  if (piece.is === 'env') return `\${${piece.name}-}`
  return { port: '$port', tempDir: '$dir', access: '$access', nginx }[piece.is]
}

function script(
  nginx: string,
  files: { http: string; server: string },
  auth: Htpasswd | undefined,
  pages: readonly RuntimePage[],
): string {
  return `${readPort}workers=\${WEB_CONCURRENCY:-1}
case $workers in *[!0-9]* | '') workers=1 ;; esac

passwords=${auth?.file === undefined ? "''" : shellQuote(auth.file)}
${textOfFile}${findBound('htpasswd')}if [ -n "$bound" ]; then passwords=$bound/.htpasswd; fi
${
  auth !== undefined && auth.file === undefined
    ? `if [ -z "$passwords" ]; then
  echo 'Error: the site was built to ask for a password, and there is no binding of the type htpasswd' >&2
  exit 1
fi
`
    : ''
}if [ -n "$passwords" ] && [ ! -r "$passwords" ]; then
  echo "Error: $passwords cannot be read" >&2
  exit 1
fi

${makeTempDir}${writePages(pages)}{
  echo "daemon off; worker_processes $workers; pid $dir/nginx.pid; error_log stderr warn;"
  echo "load_module ${nginx}/usr/lib/nginx/modules/ngx_http_brotli_static_module.so;"
  echo 'events { worker_connections 1024; }'
  echo 'http {'
  echo "access_log $access;"
  for temp in client_body proxy fastcgi uwsgi scgi; do echo "\${temp}_temp_path $dir/$temp;"; done
  echo 'include ${files.http};'
${declareVersion(pages)}  echo "server { listen $port;"
  if [ -e /proc/net/if_inet6 ]; then echo "listen [::]:$port;"; fi
  if [ -n "$passwords" ]; then echo "auth_basic restricted; auth_basic_user_file \\"$passwords\\";"; fi
${servePages(pages)}  echo 'include ${files.server};'
  echo '} }'
} >"$dir/nginx.conf"
exec ${nginx}/usr/sbin/nginx -e stderr -p "$dir" -c "$dir/nginx.conf"
`
}
