import { trustStoreProgram } from './trust-store.ts'

/** Number of JDK classes that an application may load, beside its own. */
const jdkClasses = 27_000

/** An option of the JVM that these variables turn on or off: the first one that is set decides. */
export interface Switch {
  readonly variables: readonly string[]
  /** The default if none of them is set. */
  readonly isOn: boolean
  readonly option: string
}

/**
 * A program of exec.d, which the launcher runs before the process (buildpack.md, "exec.d"). It fits the JVM into the memory of the
 * container, and translates switches and certificates into options. It does not change options that the user gives.
 * @param classes the number of classes in the application and its libraries
 * @param own options that the application requires
 * @param more shell code that adds options, of agents
 */
export function launchScript(
  classes: number,
  own: readonly string[] = [],
  switches: readonly Switch[] = [],
  more = '',
): string {
  return `#!/bin/sh
set -eu
# Puts on one line what a manifest may have on several: the JVM splits options at any white space.
flat() {
  set -f
  IFS='\t\n\r'
  set -- $1
  IFS=' '
  line=$*
  unset IFS
  set +f
}
flat "\${JAVA_TOOL_OPTIONS-}"
tool_options=$line
flat "\${JAVA_OPTS-}"
options=$line
given=" $tool_options $options "

has() { case $given in *" $1"*) return 0 ;; esac; return 1; }
add() { options="$options $1"; }
put() {
  value=$2
  case $value in *\\\\* | *'"'* | *'\n'*) value=$(printf %s "$2" | tr '\\n' ' ' | sed 's/\\\\/\\\\\\\\/g; s/"/\\\\"/g') ;; esac
  printf '%s = "%s"\\n' "$1" "$value" >&3
}
# Does not change variables that the user sets, and sets each only once: the launcher refuses a variable that is there twice.
default() {
  eval "before=\\\${$1-}"
  if [ -z "$before" ] && [ -n "$2" ]; then
    put "$1" "$2"
    eval "$1=\\$2"
  fi
}
enabled() { case $1 in 1 | [tT]rue | TRUE | [yY]es | [oO]n) return 0 ;; esac; return 1; }
fail() {
  echo "Error: $1" >&2
  exit 1
}
number() {
  case $2 in '' | *[!0-9]*) fail "$1 is $2, which is not a number" ;; esac
}
# A size such as 512M in KiB.
kib() {
  n=\${2%[bBkKmMgGtT]}
  number "$1" "$n"
  case $2 in
    *[kK]) echo "$n" ;;
    *[mM]) echo $((n * 1024)) ;;
    *[gG]) echo $((n * 1048576)) ;;
    *[tT]) echo $((n * 1073741824)) ;;
    *) echo $((n / 1024)) ;;
  esac
}
# The size that the user gives to an option, or a default, in KiB.
size() {
  case $given in
    *" $1"*)
      rest=\${given#*" $1"}
      kib "$1" "\${rest%% *}"
      ;;
    *) echo "$2" ;;
  esac
}

${own.map(option => `add "${option}"\n`).join('')}${switches.map(switchLine).join('')}${more}# The memory that the container may have: control groups version 2, then 1. Without a limit the JVM's own default holds.
limit=\${BPL_JVM_TOTAL_MEMORY-}
if [ -n "$limit" ]; then
  total=$(kib BPL_JVM_TOTAL_MEMORY "$limit")
else
  total=
  for file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
    [ -r "$file" ] || continue
    IFS= read -r limit <"$file" || :
    case $limit in
      '' | *[!0-9]*) ;;
      *) [ \${#limit} -gt 15 ] || total=$((limit / 1024)) ;;
    esac
    break
  done
fi

if [ -n "$total" ] && ! has -Xmx && ! has -XX:MaxHeapSize && ! has -XX:MaxRAM; then
  threads=\${BPL_JVM_THREAD_COUNT:-250}
  number BPL_JVM_THREAD_COUNT "$threads"
  headroom=\${BPL_JVM_HEAD_ROOM:-\${BPL_JVM_HEADROOM:-0}}
  number BPL_JVM_HEAD_ROOM "$headroom"
  classes=\${BPL_JVM_LOADED_CLASS_COUNT:-$(((${classes} + ${jdkClasses}) * 35 / 100))}
  number BPL_JVM_LOADED_CLASS_COUNT "$classes"
  stack=$(size -Xss 1024)
  direct=$(size -XX:MaxDirectMemorySize= 10240)
  code=$(size -XX:ReservedCodeCacheSize= 245760)
  metaspace=$(size -XX:MaxMetaspaceSize= $(((classes * 5800 + 14000000) / 1024)))
  heap=$((total - total * headroom / 100 - threads * stack - direct - code - metaspace))
  if [ $heap -lt $((total / 4)) ]; then
    add -XX:MaxRAMPercentage=50
    echo "JVM memory: half of $((total / 1024))M is for the heap. $threads threads ($((threads * stack / 1024))M), $((code / 1024))M of code and $((metaspace / 1024))M of classes would leave less than a quarter: raise the limit, or set BPL_JVM_THREAD_COUNT" >&2
  else
    add "-Xmx\${heap}K"
    has -Xss || add "-Xss\${stack}K"
    has -XX:MaxDirectMemorySize || add "-XX:MaxDirectMemorySize=\${direct}K"
    has -XX:ReservedCodeCacheSize || add "-XX:ReservedCodeCacheSize=\${code}K"
    has -XX:MaxMetaspaceSize || add "-XX:MaxMetaspaceSize=\${metaspace}K"
    echo "JVM memory: $((heap / 1024))M of $((total / 1024))M for the heap, $((metaspace / 1024))M for $classes classes, $((code / 1024))M for code, $((threads * stack / 1024))M for $threads threads" >&2
  fi
fi
# A JVM without memory is of no use to anybody: its container starts again.
has -XX:+ExitOnOutOfMemoryError || has -XX:-ExitOnOutOfMemoryError || add -XX:+ExitOnOutOfMemoryError

if enabled "\${BPL_DEBUG_ENABLED-}"; then
  suspend=n
  if enabled "\${BPL_DEBUG_SUSPEND-}"; then suspend=y; fi
  add "-agentlib:jdwp=transport=dt_socket,server=y,address=*:\${BPL_DEBUG_PORT:-8000},suspend=$suspend"
fi
if enabled "\${BPL_JMX_ENABLED-}"; then
  port=\${BPL_JMX_PORT:-5000}
  add "-Djava.rmi.server.hostname=127.0.0.1 -Dcom.sun.management.jmxremote.authenticate=false -Dcom.sun.management.jmxremote.ssl=false"
  add "-Dcom.sun.management.jmxremote.port=$port -Dcom.sun.management.jmxremote.rmi.port=$port"
fi
if enabled "\${BPL_JFR_ENABLED-}"; then
  add "-XX:StartFlightRecording=\${BPL_JFR_ARGS:-dumponexit=true,filename=\${TMPDIR:-/tmp}/recording.jfr}"
fi

# Java reads no PEM: certificates that are known at run time become a trust store.
if [ -n "\${SSL_CERT_FILE-}" ] && [ -f "$SSL_CERT_FILE" ] && ! has -Djavax.net.ssl.trustStore; then
  store=$(mktemp -u "\${TMPDIR:-/tmp}/trust-store-XXXXXX")
  JAVA_TOOL_OPTIONS='' "$JAVA_HOME/bin/java" -Xmx64m -XX:TieredStopAtLevel=1 -Dkeystore.pkcs12.certProtectionAlgorithm=NONE \\
    -Dkeystore.pkcs12.macAlgorithm=NONE -cp "$JAVA_HOME/${trustStoreProgram}" TrustStore "$SSL_CERT_FILE" "$store" 2>/dev/null ||
    fail "no trust store could be made of $SSL_CERT_FILE"
  add "-Djavax.net.ssl.trustStore=$store -Djavax.net.ssl.trustStoreType=PKCS12"
fi

put JAVA_TOOL_OPTIONS "$tool_options\${tool_options:+ }\${options# }"
# They are in there now. A command that adds them again would load an agent twice, which ends the JVM.
[ -z "\${JAVA_OPTS-}" ] || put JAVA_OPTS ''
# Platforms name the port in PORT; frameworks look elsewhere.
if [ -n "\${PORT-}" ]; then
  for name in SERVER_PORT QUARKUS_HTTP_PORT MICRONAUT_SERVER_PORT PLAY_HTTP_PORT; do default $name "$PORT"; done
fi
`
}

/** `if enabled "${A:-${B:-1}}"; then add …; fi` */
function switchLine({ variables, isOn, option }: Switch): string {
  const value = variables.reduceRight((rest, name) => `\${${name}:-${rest}}`, isOn ? '1' : '0')
  return `if enabled "${value}"; then add "${option}"; fi\n`
}
