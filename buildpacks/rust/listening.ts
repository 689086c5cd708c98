import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuildContext, byDefault, digestOf } from '../sdk/index.ts'
import { type ListeningRules, slashComment } from '../sdk/listening.ts'
import type { Crate } from './metadata.ts'

const text = String.raw`&?\s*"(?<address>[^"{}]*:\d+)"(?=\s*[,)]|\s*\.parse\b)`
const pair = String.raw`(?:&?\s*SocketAddr::from\(\s*)?\(\s*["[]\s*(?<host>[^"\]]*?)\s*["\]]\s*,\s*(?<port>\d+)\s*\)`
const literal = `(?:${text}|${pair})?`

/** Listeners of the standard library, Tokio and Poem; Hyper's server. */
const bind = new RegExp(String.raw`\b(?!Udp|Unix)\w+::(?:try_)?bind\w*\(\s*${literal}`, 'g')
/** Methods whose names other types also use, and the text that a source needs for them to belong to a server. */
const methods: readonly (readonly [RegExp, RegExp])[] = [
  [/\bHttpServer\b/, new RegExp(String.raw`\.bind\w*\(\s*${literal}`, 'g')],
  [/\bwarp\b/, new RegExp(String.raw`\.(?:run|try_bind\w*|bind_with_graceful_shutdown)\(\s*${literal}`, 'g')],
  [/\btonic\b/, /\.serve\w*\(/g],
  [/\b(?:tide|salvo|gotham|ntex)\b/, /\.(?:listen|bind)\(|\bTcpListener::new\(|\bgotham::start\(/g],
]

export const rustListening: ListeningRules = {
  ending: '.rs',
  comment: slashComment,
  prepare: source => withConstants(withoutTests(source)),
  calls: source => [bind, ...methods.filter(([type]) => type.test(source)).map(([, call]) => call)],
  reads: 'as in std::env::var("PORT")',
}

/** A source with empty lines in place of its tests. A test ends with a brace at the indentation of its beginning. */
function withoutTests(source: string): string {
  let end: string | undefined
  let isBefore = false
  const lines = source.split('\n').map(line => {
    if (end === undefined) {
      const [, indent] = /^(\s*)#\[(?:cfg\((?:all\()?\s*test\b|(?:\w+::)*test\b)/.exec(line) ?? []
      if (indent === undefined) return line
      end = `${indent}}`
      isBefore = true
    }
    const rest = isBefore ? line.replace(/^(?:\s*#\[[^\]]*\])+/, '').trim() : ''
    if (isBefore && rest !== '') {
      isBefore = false
      if (/[;}]$/.test(rest)) end = undefined
    } else if (line.trimEnd() === end) end = undefined
    return ''
  })
  return lines.join('\n')
}

/** A source in which the values of address constants replace their names in listening calls. */
function withConstants(source: string): string {
  const constants = new Map<string, string>()
  const declaration =
    /\blet\s+(\w+)(?:\s*:\s*[\w:&]+)?\s*=\s*(SocketAddr::from\(\s*\(\s*\[[\d,\s]+\]\s*,\s*\d+\s*\)\s*\)|"[^"{}\n]*:\d+")\s*;/g
  for (const [, name = '', value = ''] of source.matchAll(declaration)) {
    // If two constants have the same name, it is not known which one is meant.
    constants.set(name, constants.has(name) ? '' : value.replaceAll(/\s+/g, ' '))
  }
  return source.replaceAll(/(bind\w*\(|\.run\()\s*&?(\w+)(?=\s*[,)])/g, (call, start: string, name: string) =>
    constants.get(name) ? `${start}${constants.get(name)}` : call,
  )
}

/** Rocket has its own variables for its address. The default is port 8000 of localhost. */
const rocketScript = `#!/bin/sh
[ -n "\${ROCKET_PORT-}" ] || printf 'ROCKET_PORT = "%s"\\n' "\${PORT:-8080}" >&3
`

/** Makes Rocket listen on $PORT of all interfaces, with a program of exec.d (buildpack.md, "exec.d"). */
export async function provideRocketAddress({ layer, log }: BuildContext, crates: readonly Crate[]): Promise<void> {
  if (!crates.some(({ name, isOwn }) => name === 'rocket' && !isOwn)) return
  log.info('Rocket listens on $PORT of all interfaces; ROCKET_PORT and ROCKET_ADDRESS override this')
  await layer('rocket', {
    types: { launch: true },
    key: { script: digestOf(rocketScript) },
    create: async dir => {
      await mkdir(join(dir, 'exec.d'))
      await writeFile(join(dir, 'exec.d/rocket'), rocketScript)
      await chmod(join(dir, 'exec.d/rocket'), 0o755)
      return { env: { launch: { ROCKET_ADDRESS: byDefault('0.0.0.0') } } }
    },
  })
}
