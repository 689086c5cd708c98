import type { Command } from 'commander'

/** The words of a command line that lead to a command, and the words that may follow. */
interface Completions {
  readonly path: string
  readonly words: readonly string[]
}

/** Every command with its subcommands and options. */
function* completionsOf(command: Command, path: readonly string[] = []): Generator<Completions> {
  const options = command.options.flatMap(({ long, hidden }) => (hidden ? [] : (long ?? [])))
  const names = command.commands.map(child => child.name())
  yield { path: path.join(' '), words: [...names, ...options, '--help'] }
  for (const child of command.commands) yield* completionsOf(child, [...path, child.name()])
}

/** Writes a script that completes commands and options, and file names in all other places. */
export function writeCompletion(program: Command, shell: string): string {
  const all = [...completionsOf(program)]
  if (shell === 'fish') return fish(all)
  return shell === 'zsh' ? zsh(all) : bash(all)
}

/** The branches of a `case` in sh that sets `words`. */
const casesOf = (all: readonly Completions[]): string =>
  all.map(({ path, words }) => `    '${path}') words='${words.join(' ')}' ;;`).join('\n')

/** The script can be sourced, or be the file `_bale` in a directory of fpath; zsh then first calls it to complete. */
function zsh(all: readonly Completions[]): string {
  return `#compdef bale
# zsh completion of bale
_bale() {
  local line='' next i
  local -a found
  for ((i = 2; i < CURRENT; i++)); do
    next=\${words[i]}
    found=(\${=$(_bale_words "$line")})
    [[ $next != -* ]] && ((\${found[(Ie)$next]})) && line="\${line:+$line }$next"
  done
  found=(\${=$(_bale_words "$line")})
  compadd -a found || _files
}
_bale_words() {
  local words=''
  case $1 in
${casesOf(all)}
  esac
  echo "$words"
}
if [[ \${funcstack[1]} == _bale ]]; then _bale "$@"; else compdef _bale bale; fi`
}

function bash(all: readonly Completions[]): string {
  return `# bash completion of bale
_bale() {
  local word=\${COMP_WORDS[COMP_CWORD]} path='' next words='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    next=\${COMP_WORDS[i]}
    case " $(_bale_words "$path") " in *" $next "*) case $next in -*) ;; *) path="\${path:+$path }$next" ;; esac ;; esac
  done
  COMPREPLY=($(compgen -W "$(_bale_words "$path")" -- "$word"))
}
_bale_words() {
  local words=''
  case $1 in
${casesOf(all)}
  esac
  echo "$words"
}
complete -o default -F _bale bale`
}

function fish(all: readonly Completions[]): string {
  const lines = all.flatMap(({ path, words }) => {
    const seen = path.split(' ').filter(Boolean)
    const condition =
      seen.length === 0
        ? '__fish_use_subcommand'
        : seen.map(word => `__fish_seen_subcommand_from ${word}`).join('; and ')
    return words.map(word =>
      word.startsWith('--')
        ? `complete -c bale -n '${condition}' -l ${word.slice(2)}`
        : `complete -c bale -n '${condition}' -a ${word}`,
    )
  })
  return ['# fish completion of bale', ...lines].join('\n')
}
