/** A function of sh: the text of a file without white space at its ends, as `Binding.read` has it. */
export const textOfFile = `text_of() {
  [ -f "$1" ] || return 0
  text=$(cat "$1")
  text=\${text#"\${text%%[![:space:]]*}"}
  printf %s "\${text%"\${text##*[![:space:]]}"}"
}
`

/**
 * Lines of sh for each binding of a type where the image runs, as `bindingsOf` finds them in a build: `$binding` is its directory. They call
 * `text_of`.
 */
export function eachBinding(type: string, body: string): string {
  return `for file in "\${SERVICE_BINDING_ROOT:-/platform/bindings}"/*/type; do
  case $(text_of "$file") in ${anyCase(type)}) ;; *) continue ;; esac
  binding=\${file%/type}
${body}done
`
}

/**
 * Lines of sh that set `bound` to the directory of the first binding of a type, or to nothing, and warn of others, as `firstBinding` does.
 * They call `text_of`.
 */
export function findBound(type: string): string {
  return `bound=''
${eachBinding(
  type,
  `  if [ -n "$bound" ]; then
    echo "Warning: $binding has no effect: $bound is another binding of the type ${type}, and comes first" >&2
  else
    bound=$binding
  fi
`,
)}`
}

const anyCase = (type: string) => type.replaceAll(/[a-z]/gi, each => `[${each.toUpperCase()}${each.toLowerCase()}]`)
