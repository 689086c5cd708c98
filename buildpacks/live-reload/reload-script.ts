import { shellQuote } from '../sdk/index.ts'

/** Files that programs write at run time, and the directories of package managers. */
const ignored =
  '/(node_modules|vendor/bundle|__pycache__|\\.git|\\.venv|log|logs|tmp)(/|$)|(\\.(log|pid|pyc|swp|sqlite3?(-[a-z]+)?)|~)$'

export interface Places {
  readonly inotifywait: string
  /** The directory of inotifywait's shared libraries. */
  readonly libraries: string
  /** The directory with the layers of all buildpacks. */
  readonly layersDir: string
  readonly appDir: string
}

/**
 * Runs its arguments, and restarts them when a file of the application changes. The program has its own process group, so that all
 * processes that it started end with it.
 */
export function reloadScript({ inotifywait, libraries, layersDir, appDir }: Places): string {
  return `#!/bin/bash
set -um
# The launcher keeps these from what it starts, and is started again here.
export CNB_PLATFORM_API=0.12 CNB_LAYERS_DIR=${shellQuote(layersDir)} CNB_APP_DIR=${shellQuote(appDir)}
[ -x "$1" ] || {
  echo "Error: live reload runs the process web, and this image has none: name one 'web' in a Procfile" >&2
  exit 1
}
# With jobs in groups of their own, bash tells of each one's end.
exec 4>&2 2>/dev/null
program=
stop() {
  [ -n "$program" ] || return 0
  kill -TERM -- "-$program"
  for _ in {1..100}; do
    kill -0 -- "-$program" || break
    sleep 0.1
  done
  kill -KILL -- "-$program"
  wait "$program"
  program=
}
exec 3< <(LD_LIBRARY_PATH=${shellQuote(libraries)} exec ${shellQuote(inotifywait)} -mrq --format %w%f \\
  -e close_write -e create -e delete -e move --exclude ${shellQuote(ignored)} ${shellQuote(appDir)} 2>&4)
watcher=$!
trap 'stop; kill "$watcher"; exit 143' TERM
trap 'stop; kill "$watcher"; exit 130' INT
while :; do
  "$@" 2>&4 3<&- 4>&- &
  program=$!
  # A signal's trap runs between two short reads.
  until IFS= read -r -t 1 changed <&3; do
    kill -0 "$watcher" || {
      echo 'Error: nothing watches the files any more' >&4
      stop
      exit 1
    }
  done
  # An editor, or a copy of many files, makes several changes.
  while IFS= read -r -t 0.2 _ <&3; do :; done
  echo "Reload: $changed has changed"
  stop
done
`
}
