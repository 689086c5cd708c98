/**
 * A program of exec.d (buildpack.md, "exec.d"): it turns Node's inspector on if BPL_DEBUG_ENABLED is set (Paketo's RFC 0037, "Remote Debug").
 * The inspector runs any code that a client sends, so it listens on this machine only, as Node does by default. It does not change an
 * inspector of the user's own NODE_OPTIONS.
 * @param manager the package manager that a start command calls, if any: as the first program of Node, it gets the inspector's port
 */
export const debugScript = (manager?: string): string => `#!/bin/sh
enabled() { case $1 in 1 | [tT]rue | TRUE | [yY]es | [oO]n) return 0 ;; esac; return 1; }
enabled "\${BPL_DEBUG_ENABLED-}" || exit 0
case "\${NODE_OPTIONS-}" in *--inspect*) exit 0 ;; esac
port=\${BPL_DEBUG_PORT:-9229}
case $port in
  *[!0-9]*)
    echo "Error: BPL_DEBUG_PORT is $port, which is not a number" >&2
    exit 1
    ;;
esac
option=--inspect
if enabled "\${BPL_DEBUG_SUSPEND-}"; then option=--inspect-brk; fi
${manager === undefined ? '' : warningOf(manager)}own=$(printf %s "\${NODE_OPTIONS-}" | tr '\\n' ' ' | sed 's/\\\\/\\\\\\\\/g; s/"/\\\\"/g')
printf 'NODE_OPTIONS = "%s"\\n' "\${own:+$own }$option=127.0.0.1:$port" >&3
`

const warningOf = (manager: string): string => `cat >&2 <<'END'
Warning: a start command calls ${manager}, and Node's inspector then listens for ${manager}, not for the server
Start the server with node to debug it, for example: node server.js
END
`
