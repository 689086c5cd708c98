/**
 * Requests a page from the application, as an engine's HTTP probe does: a status from 200 to 399 is healthy. bash can open TCP
 * connections itself, so the image needs no HTTP client.
 */
export const checkScript = `#!/bin/bash
set -u
port=\${THC_PORT:-\${PORT:-8080}} path=\${THC_PATH:-/} seconds=\${THC_REQ_TIMEOUT:-15}
fail() {
  echo "unhealthy: $1" >&2
  exit 1
}
case $port in '' | *[!0-9]*) fail "THC_PORT is not a port: $port" ;; esac
case $path in /*) ;; *) path=/$path ;; esac
case $path in *[[:space:][:cntrl:]]*) fail 'THC_PATH is not a path' ;; esac
case $seconds in '' | *[!0-9]*) fail "THC_REQ_TIMEOUT is not a number of seconds: $seconds" ;; esac
{ exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null || fail "nothing listens at port $port"
printf 'GET %s HTTP/1.0\\r\\nHost: localhost:%s\\r\\nUser-Agent: health-check\\r\\n\\r\\n' "$path" "$port" >&3
IFS= read -r -t "$seconds" line <&3 || fail "no answer to GET $path in $seconds seconds"
line=\${line%$'\\r'}
[[ $line =~ ^HTTP/1\\.[01]\\ [23][0-9][0-9]( |$) ]] || fail "GET $path: \${line:0:100}"
`
