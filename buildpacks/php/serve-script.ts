import { shellQuote } from '../sdk/index.ts'

export interface ScriptInput {
  /** The web server in front of PHP-FPM, and its layer; undefined for PHP's own server. */
  readonly server: { readonly name: 'nginx' | 'httpd'; readonly path: string } | undefined
  /** The layer with the configuration. */
  readonly dir: string
  /** The application's directory, and the served one. */
  readonly app: string
  readonly root: string
  /** `128M` or `${NAME:-128M}`, from the application's php.ini. */
  readonly memoryLimit: string | undefined
  /** Whether the application has PHP-FPM configuration files. */
  readonly fpmFiles: boolean
  /** Lines that prepare the start. */
  readonly prepare: string
}

/** The program that starts the servers. It uses bash, which every run image has and which can wait for either of two programs. */
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
case $port in *[!0-9]* | '') fail "PORT is $port, which is not a number" ;; esac
cd ${shellQuote(app)} || exit 1
dir=$(mktemp -d "\${TMPDIR:-/tmp}/php-XXXXXX") || fail "there is no directory that can be written to: mount a tmpfs at \${TMPDIR:-/tmp}"
check=''
if [ "\${1-}" = --check ]; then
  check=1
fi
${workers(input)}
if [ -z "$check" ]; then
${prepare === '' ? ':\n' : prepare}fi
${input.server === undefined ? phpServer(input) : fpmAndWeb(input, partsOf(input, input.server))}`
}

/** The number of processes that fit into the container's memory if each uses all of PHP's memory_limit. */
function workers({ memoryLimit }: ScriptInput): string {
  return `workers=\${PHP_FPM_MAX_CHILDREN:-\${WEB_CONCURRENCY:-}}
case $workers in
  *[!0-9]* | '' | 0)
    each=${shellValue(memoryLimit ?? '${PHP_MEMORY_LIMIT:-128M}')}
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

/** A value of php.ini in the shell, where variables look the same but an unset one is an error. */
function shellValue(value: string): string {
  const [, name, otherwise = ''] = /^\$\{([A-Za-z_]\w*)(?::-(\w*))?\}$/.exec(value) ?? []
  return name === undefined ? shellQuote(value) : `\${${name}:-${otherwise}}`
}

/** PHP's own server, which is meant for development: only for BP_PHP_SERVER=php-server. */
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

const socket = '$dir/fpm.sock'
/** Debian's user and group without rights. */
const nobody = '65534'

/** The script's parts for a web server. */
interface WebParts {
  readonly name: string
  /** Lines that write the server's configuration. */
  readonly configure: string
  /** The command, for `exec`. */
  readonly command: string
  /** Options with which it only checks its configuration. */
  readonly check: string
  /** Who opens PHP-FPM's socket when the container runs as root: with the right to open it, anybody runs PHP as root. */
  readonly user: string
  /** The signal on which it finishes the requests that it has begun, and ends. */
  readonly stop: string
}

function partsOf({ dir }: ScriptInput, { name, path }: { name: 'nginx' | 'httpd'; path: string }): WebParts {
  return name === 'nginx' ? nginxParts(dir, path) : apacheParts(dir, path)
}

const nginxParts = (dir: string, path: string): WebParts => ({
  name: 'nginx',
  configure: `{
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
`,
  command: `${path}/usr/sbin/nginx -e stderr -p "$dir" -c "$dir/nginx.conf"`,
  check: '-t -q',
  user: 'root',
  stop: 'QUIT',
})

const apacheParts = (dir: string, path: string): WebParts => ({
  name: 'Apache',
  configure: `{
  echo "ServerRoot $dir"
  echo "DefaultRuntimeDir $dir"
  echo "PidFile $dir/httpd.pid"
  echo "Listen $port"
  echo 'ErrorLog /dev/stderr'
  echo "Define PHP_SOCKET ${socket}"
  # It never serves as root. Another user has to reach the socket then.
  if [ -n "$root" ]; then printf 'User #${nobody}\\nGroup #${nobody}\\n'; chmod 711 "$dir"; fi
  echo 'Include ${dir}/httpd.conf'
  if [ "$access" != off ]; then echo "CustomLog $access combined"; fi
} >"$dir/httpd.conf"
LD_LIBRARY_PATH=$(echo ${path}/usr/lib/*-linux-gnu)\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
`,
  command: `${path}/usr/sbin/apache2 -f "$dir/httpd.conf" -D FOREGROUND`,
  check: '-t',
  user: nobody,
  stop: 'WINCH',
})

function fpmAndWeb({ app, fpmFiles }: ScriptInput, server: WebParts): string {
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
  if [ -n "$root" ]; then echo ${shellQuote(`listen.owner = ${server.user}`)}; fi
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
${server.configure}fpm() { exec php-fpm --nodaemonize --force-stderr \${root:+--allow-to-run-as-root} --fpm-config "$dir/php-fpm.conf" "$@"; }
web() { exec ${server.command} "$@"; }
if [ -n "$check" ]; then
  (fpm --test) && (web ${server.check})
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
web=$!
[ -n "$ending" ] || wait -n $fpm $web
status=$?
if [ -z "$ending" ]; then
  kill -0 $fpm 2>/dev/null && name=${server.name} || name=PHP-FPM
  echo "Error: $name ended with status $status" >&2
  kill -TERM $fpm $web 2>/dev/null
  wait $fpm $web
  rm -rf "$dir"
  exit 1
fi
# Both answer what they have begun: the web server first, which hands it on.
sleep 8 &
timer=$!
kill -${server.stop} $web 2>/dev/null
wait -n $web $timer
kill -QUIT $fpm 2>/dev/null
wait -n $fpm $timer
kill -TERM $timer $web $fpm 2>/dev/null
wait $timer $web $fpm
rm -rf "$dir"
exit 0
`
}
