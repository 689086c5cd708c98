import { access, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { relative } from 'node:path'
import { findAccount } from '../../engines/accounts.ts'
import { unsandboxedEngine } from '../../engines/unsandboxed.ts'
import { BaleError } from '../../errors.ts'
import type { Reporter } from '../../events.ts'
import { closable, writableBy, writableByUs } from '../../files/closable.ts'
import { giveTree } from '../../layers/tree/give.ts'
import { type PhaseRunner, engineRunner } from '../../phase-runner.ts'
import { proxiesOf, warnOfPasswords } from '../../phases/proxies.ts'
import { warnOfOrphans } from '../../phases/supervision.ts'
import { landlockVersion, landlockVersions } from '../../processes/landlock.ts'
import { inheritedEnv } from '../../spec/env.ts'
import { quote } from '../../spec/read.ts'
import type { PhaseContext } from './context.ts'
import { type FlagName, flags, presentOf } from './flags.ts'
import { cnbUser } from './ownership.ts'

/** Runs detector and builder in this container, as processes without the secrets of this one. */
export function containerRunner(context: PhaseContext, reporter: Reporter): PhaseRunner {
  const { inputs, io, env } = context
  const user = cnbUser(context)
  const engine = unsandboxedEngine({
    tmpDir: tmpdir(),
    supervisor: io.supervisor,
    pids: pidsFrom(context.env),
    // The directories belong to the buildpacks' user: creator is that user, or root has changed their owner (X27).
    readOnly: closable(
      presentOf(inputs, 'cache-dir', 'launch-cache'),
      io.user.uid === user.uid ? writableByUs : writableBy(user),
    ),
  })
  return engineRunner(engine, reporter, async (phase, signal) => {
    await engine.check(signal)
    if (phase === 'detect') {
      warnOfPasswords(proxiesOf(inheritedEnv(env)), reporter)
      await warnOfSharedUser(context, user.uid)
      await warnOfOrphans(io.supervisor, reporter)
    }
    // Files that this process wrote into the layers directory as root must belong to the buildpacks' user. No buildpack runs
    // meanwhile.
    const layers = inputs.path('layers')
    // Exporter takes an extended run image only if it is root's (K23).
    const except = relative(layers, inputs.path('extended'))
    if (io.user.uid === 0) await giveTree(layers, user, { except })
    return {
      argv: io.program(phase === 'detect' ? 'detector' : 'builder'),
      env: await buildpackEnv(context, user.uid),
      workingDir: inputs.path('app'),
      mounts: [],
      network: 'host',
      user,
    }
  })
}

/**
 * The kernel lets users read the memory of their own processes, except where the program's file is not readable
 * (distribution/dispatcher): then /proc/self belongs to root. Landlock denies buildpacks access to processes outside of it. K19.
 */
async function warnOfSharedUser({ env, io, log }: PhaseContext, uid: number): Promise<void> {
  if (uid !== io.user.uid || !env['CNB_REGISTRY_AUTH']) return
  const environ = await stat('/proc/self/environ').catch(() => undefined)
  if (environ?.uid !== uid || (await landlockVersion(io.landlock)) >= landlockVersions.scopes) return
  const text = 'buildpacks run as the same user as this process, and can read registry credentials from its memory'
  log.event({
    type: 'warning',
    text,
    fix: 'start creator as root, or use Linux 6.12 or newer, or a lifecycle whose files root owns',
  })
}

/** BALE_PIDS: the limit of threads and processes for buildpacks, where --pids is not available. */
function pidsFrom(env: PhaseContext['env']): number | undefined {
  const text = env['BALE_PIDS']
  if (text === undefined || text === '') return undefined
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text)
  throw new BaleError('arguments', `BALE_PIDS is ${quote(text)}`, { fix: 'write a number from 1 to 9999999' })
}

/** Variables that name files for detector and builder, in addition to the variables that buildpacks may see. */
const passedOn = [
  ...(['layers', 'app', 'platform', 'build-config', 'buildpacks', 'order', 'system', 'run'] as const),
  ...(['analyzed', 'group', 'plan', 'extensions', 'generated'] as const),
] as const satisfies readonly FlagName[]
const modes = [
  ...['CNB_PLATFORM_API', 'CNB_EXEC_ENV', 'CNB_DEPRECATION_MODE', 'CNB_EXPERIMENTAL_MODE', 'BALE_LOG_FORMAT'],
  'BALE_EXTENDED',
]

async function buildpackEnv({ inputs, env, io }: PhaseContext, uid: number): Promise<Record<string, string>> {
  // Absolute, since the process runs in the directory of the app.
  const paths = passedOn.map(name => [flags[name].env, inputs.text(name) && inputs.path(name)] as const)
  const asked = [...modes.map(name => [name, env[name]] as const), ['CNB_LOG_LEVEL', inputs.text('log-level')] as const]
  const found = [...paths, ...asked].filter((e): e is [string, string] => e[1] !== undefined && e[1] !== '')
  const own = await ownHome(io.user.uid, uid)
  return { ...inheritedEnv(env), ...Object.fromEntries(found), ...own, BALE_LOG_FORMAT: 'jsonl' }
}

/** Returns the home of another user. A user without one gets a directory that everybody can write to. */
async function ownHome(ours: number, uid: number): Promise<Record<string, string>> {
  if (ours === uid) return {}
  const { home } = await findAccount('/', String(uid))
  const isThere = await access(home).then(
    () => home !== '/',
    () => false,
  )
  return { HOME: isThere ? home : tmpdir() }
}
