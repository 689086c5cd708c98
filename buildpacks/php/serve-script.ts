import { shellQuote } from '../sdk/index.ts'

export interface ScriptInput {
  /** The layer with nginx; undefined for PHP's own server. */
  readonly nginx: string | undefined
  /** The layer with the configuration. */
  readonly dir: string
  /** The application's directory, and the one that is served. */
  readonly app: string
  readonly root: string
  /** `128M`, of the application's php.ini. */
  readonly memoryLimit: string | undefined
  /** Patterns of files of the application. */
  readonly fpmFiles: boolean
  /** Lines that prepare the start. */
  readonly prepare: string
}

/** The program that starts the servers: bash, which waits for either of two programs, is in every run image. */
export function serveScript(input: ScriptInput): string {
  const { app, prepare } = input
  return `#!/bin/bash
# Writes what is known at run time alone of the servers' configuration, starts them, and ends when one of them does.
set -u
fail() {
  echo "Error: $1" >&2
  exit 1
}
port=\${PORT:-8080}
case $port in *[!0-9]* | '') fail "PORT is $port, which is no number" ;; esac
cd ${shellQuote(app)} || exit 1
dir=$(mktemp -d "\${TMPDIR:-/tmp}/php-XXXXXX") || fail "there is no directory that can be written to: mount a tmpfs at \${TMPDIR:-/tmp}"
check=''
if [ "\${1-}" = --check ]; then
  check=1
fi
${workers(input)}
if [ -z "$check" ]; then
${prepare === '' ? ':\n' : prepare}fi
${input.nginx === undefined ? phpServer(input) : fpmAndNginx(input, input.nginx)}`
}

/** As many processes as the container's memory has room for, each with all that PHP's memory_limit lets it take. */
function workers({ memoryLimit }: ScriptInput): string {
  return `workers=\${PHP_FPM_MAX_CHILDREN:-\${WEB_CONCURRENCY:-}}
case $workers in
  *[!0-9]* | '' | 0)
    each=${memoryLimit === undefined ? '${PHP_MEMORY_LIMIT:-128M}' : shellQuote(memoryLimit)}
    case $each in
      *[Gg]) each=$((\${each%?} * 1024)) ;;
      *[Mm]) each=\${each%?} ;;
      *) each=128 ;;
    esac
    case $each in *[!0-9]* | '' | 0) each=128 ;; esac
    limit=''
    for file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
      [ -r "$file" ] && IFS= read -r limit <"$file" && break
    done
    # Without a limit it says max, or a number of 19 digits.
    case $limit in
      *[!0-9]* | '' | ???????????????*) workers=16 ;;
      *)
        workers=$(((limit / 1048576 - 48) / each))
        [ "$workers" -lt 2 ] && workers=2
        [ "$workers" -gt 64 ] && workers=64
        ;;
    esac
    ;;
esac
`
}

/** PHP's own server, which is meant for development: BP_PHP_SERVER=php-server asks for it. */
function phpServer({ dir, root }: ScriptInput): string {
  return `[ -n "$check" ] && exit 0
PHP_CLI_SERVER_WORKERS=$workers php -S "0.0.0.0:$port" -t ${shellQuote(root)} ${shellQuote(`${dir}/router.php`)} &
server=$!
# Its processes do not end with the first one by themselves.
trap 'kill -TERM $(cat /proc/$server/task/$server/children) $server 2>/dev/null; ending=1' TERM INT QUIT
ending=''
wait $server
status=$?
rm -rf "$dir"
[ -n "$ending" ] && exit 0
exit $status
`
}

function fpmAndNginx({ dir, app, fpmFiles }: ScriptInput, nginx: string): string {
  const socket = '$dir/fpm.sock'
  return `# Where they are sockets, they cannot be opened by their names.
access='off'
if (: >>/dev/stdout) 2>/dev/null; then access='/dev/stdout'; fi
if ! { (: >>/dev/fd/3) 2>/dev/null; } 3>&2; then exec 2> >(exec cat >&2); fi
root=''
if [ "$(id -u)" = 0 ]; then root=1; fi

spare=$((workers < 4 ? workers : 4))
{
  echo '[global]'
  echo 'daemonize = no'
  echo 'error_log = /dev/stderr'
  echo 'log_level = warning'
  echo 'log_limit = 16384'
  echo 'process_control_timeout = 8s'
  echo '[www]'
  echo "listen = ${socket}"
  echo 'listen.mode = 0600'
  if [ -n "$root" ]; then printf 'user = root\\ngroup = root\\n'; fi
  echo 'pm = dynamic'
  echo "pm.max_children = $workers"
  echo 'pm.start_servers = 1'
  echo 'pm.min_spare_servers = 1'
  echo "pm.max_spare_servers = $spare"
  echo "pm.max_requests = \${PHP_FPM_MAX_REQUESTS:-0}"
  echo 'catch_workers_output = yes'
  echo 'decorate_workers_output = no'
  echo 'clear_env = no'
  echo 'security.limit_extensions = .php'
${fpmFiles ? `  echo ${shellQuote(`include = ${app}/.php.fpm.d/*.conf`)}\n` : ''}} >"$dir/php-fpm.conf"
{
  echo "daemon off; worker_processes 1; pid $dir/nginx.pid; error_log stderr warn;"
  if [ -n "$root" ]; then echo 'user root;'; fi
  echo 'events { worker_connections 1024; }'
  echo 'http {'
  echo "access_log $access;"
  for temp in client_body proxy fastcgi uwsgi scgi; do echo "\${temp}_temp_path $dir/$temp;"; done
  echo "upstream php { server unix:${socket}; }"
  echo 'include ${dir}/http.conf;'
  echo "server { listen $port;"
  if [ -e /proc/net/if_inet6 ]; then echo "listen [::]:$port;"; fi
  echo 'include ${dir}/server.conf;'
  echo '} }'
} >"$dir/nginx.conf"
fpm() { exec php-fpm --nodaemonize --force-stderr \${root:+--allow-to-run-as-root} --fpm-config "$dir/php-fpm.conf" "$@"; }
web() { exec ${nginx}/usr/sbin/nginx -e stderr -p "$dir" -c "$dir/nginx.conf" "$@"; }
if [ -n "$check" ]; then
  (fpm --test) && (web -t -q)
  status=$?
  rm -rf "$dir"
  exit $status
fi

ending=''
trap 'ending=1' TERM INT QUIT
fpm &
fpm=$!
until [ -S "${socket}" ]; do
  kill -0 $fpm 2>/dev/null || fail 'PHP-FPM did not start'
  [ -n "$ending" ] && break
  sleep 0.01
done
web &
nginx=$!
[ -n "$ending" ] || wait -n $fpm $nginx
status=$?
if [ -z "$ending" ]; then
  kill -0 $fpm 2>/dev/null && name=nginx || name=PHP-FPM
  echo "Error: $name ended with status $status" >&2
  kill -TERM $fpm $nginx 2>/dev/null
  wait $fpm $nginx
  rm -rf "$dir"
  exit 1
fi
# Both answer what they have begun: nginx first, which hands it on.
sleep 8 &
timer=$!
kill -QUIT $nginx 2>/dev/null
wait -n $nginx $timer
kill -QUIT $fpm 2>/dev/null
wait -n $fpm $timer
kill -TERM $timer $nginx $fpm 2>/dev/null
wait $timer $nginx $fpm
rm -rf "$dir"
exit 0
`
}
