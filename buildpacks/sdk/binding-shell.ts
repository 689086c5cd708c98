/** A shell function that prints a file's text without white space at its ends, like `Binding.read`. */
export const textOfFile = `text_of() {
  [ -f "$1" ] || return 0
  text=$(cat "$1")
  text=\${text#"\${text%%[![:space:]]*}"}
  printf %s "\${text%"\${text##*[![:space:]]}"}"
}
`

/**
 * Shell code that runs `body` at run time for each binding of a type, as `bindingsOf` finds them in a build. `$binding` is the
 * binding's directory. The code calls `text_of`.
 */
export function eachBinding(type: string, body: string): string {
  return `for file in "\${SERVICE_BINDING_ROOT:-/platform/bindings}"/*/type; do
  case $(text_of "$file") in ${anyCase(type)}) ;; *) continue ;; esac
  binding=\${file%/type}
${body}done
`
}

/**
 * Shell code that sets `bound` to the directory of the first binding of a type, or to nothing, and warns of further bindings, like
 * `firstBinding`. The code calls `text_of`.
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
