import { BaleError, exitStatus, inPhase } from '../../errors.ts'
import { deprecatedPlatformApis, requirePlatformApi } from '../../spec/api.ts'
import { maskPasswords } from '../../phases/proxies.ts'
import { BuildSecrets } from '../../phases/secrets.ts'
import { quote } from '../../spec/read.ts'
import { lifecycleVersion } from '../../version.ts'
import { type Binary, binaries, findBinary } from './binaries.ts'
import type { Env } from '../../stores/settings.ts'
import type { PhaseContext, Io } from './context.ts'
import { flagsAt, isTrue, parseFlags } from './flags.ts'
import { EventLog, PhaseLog } from './log.ts'
import { checkDeprecated } from './modes.ts'
import { dropPrivileges } from './privileges.ts'
import { readSecrets } from './secrets.ts'

/**
 * Runs the phase binary that argv names, by the program's own name or as `lifecycle <verb>`. Returns the exit status. Checks
 * the API first: the meaning of all other inputs depends on it (platform.md, "Usage").
 */
export async function main(argv: readonly string[], env: Env, io: Io): Promise<number> {
  const log = env['BALE_LOG_FORMAT'] === 'jsonl' ? new EventLog(io.write) : new PhaseLog(io.write)
  // Failures before the flags are parsed respect CNB_NO_COLOR, too.
  log.color = !isTrue(env['CNB_NO_COLOR'])
  try {
    const features = requirePlatformApi(env['CNB_PLATFORM_API'])
    checkDeprecated(features.api, 'platform-api', deprecatedPlatformApis, env, log)
    const { name, binary, rest } = findBinary(argv)
    if (binary === undefined) return lifecycle(name, log)
    const known = flagsAt(binary.flags, features)
    const inputs = parseFlags(known, rest, env)
    if (inputs.help) return print(log, `Usage of ${name}: ${known.map(flag => `-${flag}`).join(' ')}`)
    log.color = !inputs.flag('no-color')
    if (inputs.flag('version')) return print(log, lifecycleVersion)
    log.setLevel(inputs.text('log-level') ?? 'info')
    for (const argument of inputs.positional.filter(p => p.startsWith('-')))
      log.warn(`${quote(argument)} comes after the first argument, so it is not read as a flag`)
    refuseArguments(name, binary, inputs.positional)
    const secrets = known.includes('secrets') ? await readSecrets(inputs) : new BuildSecrets([])
    log.mask = secrets.and(maskPasswords(env))
    if (binary.takesImage === true) secrets.warnOfShort(log)
    await using resources = new AsyncDisposableStack()
    await run(name, binary, { inputs, env, features, log, secrets, signal: io.signal, io, resources })
    return 0
  } catch (error) {
    log.failed(error)
    return exitStatus(error)
  }
}

async function run(name: string, binary: Binary, context: PhaseContext): Promise<void> {
  refuseRoot(name, binary, context.io)
  const { prepare } = await binary.load()
  const work = await prepare(context)
  const takesUser = flagsAt(binary.flags, context.features).includes('uid')
  const finish = takesUser ? await dropPrivileges(name, work, context) : undefined
  await (name === 'creator' ? work.run() : inPhase(binary.phase, () => work.run()))
  await finish?.()
}

/** Only binaries that name images take arguments. In others, an argument is most often a flag without its dash. */
function refuseArguments(name: string, { takesImage }: Binary, positional: readonly string[]): void {
  if (takesImage === true || positional.length === 0) return
  throw new BaleError('arguments', `${name} takes no arguments, but received ${positional.map(quote).join(' ')}`, {
    fix: 'give only flags, each with a dash: -app DIR',
  })
}

function refuseRoot(name: string, { neverAsRoot }: Binary, { user }: Io): void {
  if (neverAsRoot !== true || user.uid !== 0) return
  throw new BaleError('failed', `refusing to run ${name} as root`, {
    fix: 'run it as the user of the build image: CNB_USER_ID and CNB_GROUP_ID',
  })
}

function print(log: PhaseLog, text: string): number {
  log.event({ type: 'note', level: 'info', text })
  return 0
}

/** `lifecycle` without a verb: it does nothing by itself. */
function lifecycle(verb: string, log: PhaseLog): number {
  if (verb === '-version' || verb === '--version') return print(log, lifecycleVersion)
  const verbs = Object.values(binaries).map(b => b.verb)
  throw new BaleError('arguments', verb === '' ? 'no phase is named' : `unknown phase: ${quote(verb)}`, {
    fix: `use one of: ${verbs.join(', ')}`,
  })
}
