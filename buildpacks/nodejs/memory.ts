/**
 * Variables that depend on the container's memory, as on Heroku and in Paketo: MEMORY_AVAILABLE in MiB, WEB_MEMORY (512), and
 * WEB_CONCURRENCY, the number of processes of that size that fit. With BP_NODE_OPTIMIZE_MEMORY, Node's heap may use three quarters of
 * the memory.
 *
 * A program of exec.d (buildpack.md, "exec.d"): it writes variables to file descriptor 3. It does not change variables that the user
 * sets.
 */
export function memoryScript(cgroup: string, heap: boolean): string {
  return `#!/bin/sh
for file in ${cgroup}/memory.max ${cgroup}/memory/memory.limit_in_bytes; do
  [ -r "$file" ] && read -r limit < "$file" && break
done
# No limit is "max", or a number beyond any machine.
case "\${limit-}" in '' | *[!0-9]*) exit 0 ;; esac
[ "\${#limit}" -lt 16 ] || exit 0
memory=$((limit / 1048576))
each=\${WEB_MEMORY:-512}
case "$each" in 0 | *[!0-9]*) each=512 ;; esac
count=$((memory / each))
[ "$count" -gt 0 ] || count=1
[ -n "\${MEMORY_AVAILABLE-}" ] || echo "MEMORY_AVAILABLE = \\"$memory\\"" >&3
[ -n "\${WEB_MEMORY-}" ] || echo "WEB_MEMORY = \\"$each\\"" >&3
[ -n "\${WEB_CONCURRENCY-}" ] || echo "WEB_CONCURRENCY = \\"$count\\"" >&3
${heap ? heapLines : ''}exit 0
`
}

const heapLines = `case "\${NODE_OPTIONS-}" in
*max[-_]old[-_]space[-_]size*) ;;
'') echo "NODE_OPTIONS = \\"--max-old-space-size=$((memory * 3 / 4))\\"" >&3 ;;
*[\\"\\\\]*) ;;
*) echo "NODE_OPTIONS = \\"$NODE_OPTIONS --max-old-space-size=$((memory * 3 / 4))\\"" >&3 ;;
esac
`
