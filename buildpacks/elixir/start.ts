import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type App,
  type BuildContext,
  BuildpackError,
  byDefault,
  declaredStart,
  digestOf,
  type LaunchProcess,
  type Log,
  shellProcess,
} from '../sdk/index.ts'
import { cookieFile, type Release } from './release.ts'

/**
 * Variables of a release. Distribution, which opens two ports, is off by default. A crash dump would contain the application's secrets,
 * and disappear with the container.
 */
const launch = {
  PORT: byDefault('8080'),
  PHX_SERVER: byDefault('true'),
  MIX_ENV: byDefault('prod'),
  LANG: byDefault('C.UTF-8'),
  RELEASE_TMP: byDefault('/tmp'),
  RELEASE_DISTRIBUTION: byDefault('none'),
  ERL_CRASH_DUMP_SECONDS: byDefault('0'),
}

/**
 * A program of exec.d, which the launcher runs before the process (buildpack.md, "exec.d"). It creates a cookie for this container,
 * which a second process finds again, such as one that inspects the first.
 */
const cookieScript = `#!/bin/sh
[ -n "\${RELEASE_COOKIE-}" ] && exit 0
umask 077
cookie=$(cat ${cookieFile} 2>/dev/null) || cookie=
if [ -z "$cookie" ]; then
  cookie=$(od -An -N20 -tx1 /dev/urandom | tr -d ' \\n')
  echo "$cookie" 2>/dev/null >${cookieFile}
fi
echo "RELEASE_COOKIE = \\"$cookie\\"" >&3
`

export async function provideVariables({ layer }: BuildContext): Promise<void> {
  await layer('release', {
    types: { launch: true },
    key: { variables: digestOf(JSON.stringify(launch), cookieScript) },
    create: async dir => {
      await mkdir(join(dir, 'exec.d'))
      await writeFile(join(dir, 'exec.d/cookie'), cookieScript)
      await chmod(join(dir, 'exec.d/cookie'), 0o755)
      return { env: { launch } }
    },
  })
}

/** Whether the configuration that is evaluated at run time reads Phoenix's secret. */
export async function needsSecret(app: App): Promise<boolean> {
  const text = (await app.read('config/runtime.exs')) ?? ''
  return /System\.(?:fetch_env!|get_env)\(\s*"SECRET_KEY_BASE"\s*\)/.test(text)
}

/**
 * Checks for starts that need Elixir's tools, before anything is downloaded: the image of a release does not have the tools. Other
 * processes of a Procfile only give a warning, since the application starts without them.
 * @throws BuildpackError for `web: mix phx.server` and the like
 */
export async function checkDeclaredStart(app: App, env: Readonly<Record<string, string>>, log: Log): Promise<void> {
  const name = /\bapp:\s*:(\w+)/.exec((await app.read('mix.exs')) ?? '')?.[1] ?? 'NAME'
  const task = `a task is bin/${name} eval "…"`
  const lines = ((await app.read('Procfile')) ?? '').matchAll(/^[ \t]*([\w-]+)[ \t]*:(.*)$/gm)
  for (const [, type = '', command = ''] of lines) {
    const tool = type === 'web' ? undefined : toolOf(command)
    if (tool)
      log.warning(
        `the process ${type} of the Procfile starts ${tool}, which is not in the image`,
        `Start the release: ${task}`,
      )
  }
  const declared = await declaredStart(app, env)
  const tool = toolOf(declared?.command ?? '')
  if (declared === undefined || tool === undefined) return
  throw new BuildpackError(
    `starts ${tool}, which is not in the image: the image has a release, which starts without it`,
    {
      where: declared.where,
      fix: `start the release, bin/${name} start, or leave this process out: the release starts by default; ${task}`,
    },
  )
}

/** The first Elixir program in a command. */
function toolOf(command: string): string | undefined {
  return /(?:^|[\s;&|])(mix|elixir|iex)(?=\s|$)/.exec(command)?.[1]
}

/** The processes of the release, without `web` if the user declares that. A Procfile may also declare only other processes. */
export async function ownProcesses(
  app: App,
  env: Readonly<Record<string, string>>,
  release: Release,
  secret: boolean,
): Promise<LaunchProcess[]> {
  const declared = await declaredStart(app, env)
  return processesOf(release, secret).filter(({ type }) => type !== 'web' || declared === undefined)
}

/** `web` starts the release; the others are for use beside it. */
export function processesOf({ name, scripts }: Release, secret: boolean): LaunchProcess[] {
  const script = `bin/${name}`
  const check = secret ? `[ -n "\${SECRET_KEY_BASE-}" ] || { echo ${JSON.stringify(noSecret)} >&2; exit 1; }; ` : ''
  const others = ['console', 'eval', 'remote'].filter(type => !scripts.includes(type))
  const commands: Readonly<Record<string, string>> = { console: 'start_iex', eval: 'eval', remote: 'remote' }
  return [
    shellProcess('web', `${check}exec ${script} start "$@"`, { default: true }),
    ...others.map(type => shellProcess(type, `exec ${script} ${commands[type]} "$@"`)),
    ...(scripts.includes('migrate') ? [shellProcess('migrate', 'exec bin/migrate "$@"')] : []),
  ]
}

const noSecret =
  'Error: SECRET_KEY_BASE is not set. The application signs cookies with it: set it to 64 characters or more, for example the output of: openssl rand -base64 48'
