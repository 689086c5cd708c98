import {
  type Binding,
  bindingsOf,
  BuildpackError,
  type Context,
  findBound,
  textOfFile,
  warnOfSecond,
} from '../sdk/index.ts'
import type { ExtensionRequest } from './extensions.ts'

type Kind = 'redis' | 'memcached'

/** Where PHP keeps its sessions, instead of in files that other containers do not see. */
export interface Sessions {
  readonly extension: ExtensionRequest
  /** Lines for bash before the servers start; `$dir` is a writable directory of their own. */
  readonly prepare: string
}

/** Names or addresses with ports, separated by commas, and without characters that have a meaning for PHP or in a URL. */
const serverPattern = /^[\w.:[\],-]+$/

const typeOf = (kind: Kind) => `php-${kind}-session`

/**
 * Reads a binding of the type `php-redis-session` (with the keys host, port, username, password) or `php-memcached-session` (servers,
 * username, password), as in Paketo. The image contains nothing of it: it reads the binding at run time, and does not start without
 * one.
 * @throws BuildpackError for an invalid host
 */
export async function findSessions(
  context: Pick<Context, 'env' | 'platformDir' | 'log'>,
): Promise<Sessions | undefined> {
  const of = (kind: Kind, bindings: readonly Binding[]) => bindings.map(binding => ({ kind, binding }))
  const found = [
    ...of('redis', await bindingsOf(context, 'php-redis-session')),
    ...of('memcached', await bindingsOf(context, 'php-memcached-session')),
  ]
  const [first, ...others] = found
  if (first === undefined) return undefined
  for (const { kind, binding } of others) warnOfSecond(context, typeOf(kind), first.binding, binding)
  const { kind, binding } = first
  const value = async (key: string) => (await binding.read(key)) || undefined
  const where = `the binding ${binding.name}`
  const servers =
    kind === 'redis'
      ? `${(await value('host')) ?? '127.0.0.1'}:${(await value('port')) ?? '6379'}`
      : ((await value('servers')) ?? '127.0.0.1')
  if (!serverPattern.test(servers)) {
    throw new BuildpackError(`${JSON.stringify(servers.slice(0, 100))} is not a server`, {
      where,
      fix:
        kind === 'redis' ? 'write a name into host, and a number into port' : 'write into servers: one.example:11211',
    })
  }
  context.log.info(`PHP keeps its sessions in ${kind === 'redis' ? 'Redis' : 'Memcached'}: ${where} has the address`)
  return { extension: { name: kind, where }, prepare: prepare(kind) }
}

function prepare(kind: Kind): string {
  const type = typeOf(kind)
  return `# Where sessions are kept, and the password for that.
${textOfFile}${findBound(type)}[ -n "$bound" ] || fail 'it was built to keep sessions in the server of a binding of the type ${type}, but there is no such binding'
bound_value() {
  local text
  text=$(text_of "$bound/$1")
  printf %s "\${text:-$2}"
}
${kind === 'redis' ? redisServer : 'servers=$(bound_value servers 127.0.0.1)\n'}pattern='^[][[:alnum:]_.:,-]+$'
[[ $servers =~ $pattern ]] || fail "the binding $bound names no server for sessions"
user=$(bound_value username '') password=$(bound_value password '')
mkdir -p "$dir/ini"
${kind === 'redis' ? redisSettings : memcachedSettings} >"$dir/ini/sessions.ini"
export PHP_INI_SCAN_DIR="\${PHP_INI_SCAN_DIR-}:$dir/ini"
`
}

const redisServer = `host=$(bound_value host 127.0.0.1)
# An address of IPv6.
case $host in '['*) ;; *:*:*) host="[$host]" ;; esac
servers=$host:$(bound_value port 6379)
`

const redisSettings = `url_text() {
  local LC_ALL=C text=$1 i
  for ((i = 0; i < \${#text}; i++)); do
    case \${text:i:1} in
      [a-zA-Z0-9._~-]) printf %s "\${text:i:1}" ;;
      *) printf '%%%02X' "'\${text:i:1}" ;;
    esac
  done
}
auth=''
if [ -n "$user" ]; then
  auth="?auth[user]=$(url_text "$user")&auth[pass]=$(url_text "$password")"
elif [ -n "$password" ]; then
  auth="?auth=$(url_text "$password")"
fi
printf 'session.save_handler = redis\\nsession.save_path = "tcp://%s%s"\\n' "$servers" "$auth"`

const memcachedSettings = `case $user$password in *"'"*) fail "the user or the password of $bound has a quote, which PHP's settings cannot contain" ;; esac
{
  printf 'session.save_handler = memcached\\nsession.save_path = "%s"\\n' "$servers"
  [ -z "$user" ] || printf "memcached.sess_sasl_username = '%s'\\nmemcached.sess_sasl_password = '%s'\\n" "$user" "$password"
}`
