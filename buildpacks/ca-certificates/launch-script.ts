import { eachBinding, shellQuote, textOfFile } from '../sdk/index.ts'

/** The variables with which programs find a bundle of certificates: OpenSSL and Go, Node.js, Python, curl, git, Cargo. */
export const variables = [
  'SSL_CERT_FILE',
  'NODE_EXTRA_CA_CERTS',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'GIT_SSL_CAINFO',
  'CARGO_HTTP_CAINFO',
]

/**
 * A program of exec.d, which the launcher runs before the process (buildpack.md, "exec.d"). It joins the certificates of the run image,
 * of the build and of bindings, and sets the variables.
 */
export function launchScript(embedded: string): string {
  return `#!/bin/sh
set -eu
embedded=${shellQuote(embedded)}
set --
[ -s "$embedded" ] && set -- "$embedded"
${textOfFile}${eachBinding('ca-certificates', addFiles)}[ $# -gt 0 ] || exit 0
bundle=$(mktemp "\${TMPDIR:-/tmp}/ca-certificates-XXXXXX")
for file in "\${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$@"; do
  [ ! -f "$file" ] || cat "$file"
  echo
done >"$bundle"
for name in ${variables.join(' ')}; do
  printf '%s = "%s"\\n' "$name" "$bundle"
done >&3
`
}

const addFiles = `  for file in "$binding"/*; do
    case \${file##*/} in type | provider) continue ;; esac
    if ! grep -q -e '-----BEGIN \\(TRUSTED \\)\\{0,1\\}CERTIFICATE-----' "$file"; then
      echo "Error: $file contains no certificate in PEM format" >&2
      exit 1
    fi
    set -- "$@" "$file"
  done
`
