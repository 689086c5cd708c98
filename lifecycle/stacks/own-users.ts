/**
 * Runs root's command in a user namespace with the same ids as outside, so that its settings apply only to that command, not to
 * all programs of the machine. unshare(1) would use newuidmap(1) for the maps, which requires subordinate ids of root. Instead, the
 * shell outside writes them, and the one inside waits until user and group are root's: a file system that a process without them mounts
 * cannot be written. A SIGTERM goes to the command, which then cleans up.
 */
export const inOwnUsers: readonly string[] = [
  'sh',
  '-c',
  `unshare --user --mount --propagation private -- sh -c 'until [ "$(id -u) $(id -g)" = "0 0" ]; do sleep 0.01; done; exec "$@"' sh "$@" &
pid=$!
ids() { while read -r first _ count; do echo "$first $first $count"; done </proc/self/$1; }
tries=0
users=
until { [ -n "$users" ] || printf '%s\\n' "$(ids uid_map)" >/proc/$pid/uid_map; } && users=mapped && printf '%s\\n' "$(ids gid_map)" >/proc/$pid/gid_map; do
  tries=$((tries + 1))
  if ! kill -0 $pid || [ $tries -gt 200 ]; then
    kill $pid
    break
  fi
  sleep 0.01
done 2>/dev/null
trap : TERM
while :; do
  wait $pid
  status=$?
  kill -0 $pid 2>/dev/null || exit $status
done`,
  'sh',
]
