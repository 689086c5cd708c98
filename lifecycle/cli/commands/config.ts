import { BaleError } from '../../errors.ts'
import { type PullPolicy, pullPolicies } from '../../stores/pull-policy.ts'
import { type UserConfig, readUserConfig, writeUserConfig } from '../config-file.ts'
import type { CommandContext, GlobalOptions } from '../context.ts'
import { printable } from '../text.ts'
import { parseImageReference } from '../../stores/transports.ts'
import { parseRegistry, requireMirror } from '../values.ts'

/** Prints, sets or unsets a setting with one value. */
export async function valueCommand(
  context: CommandContext,
  name: string,
  value: string | undefined,
  { unset }: GlobalOptions,
): Promise<void> {
  const { env } = context
  const config = await readUserConfig(env)
  if (unset === true && value !== undefined)
    throw new BaleError('usage', 'it cannot be set and unset in one command', {
      where: '--unset',
      fix: 'leave one of them out',
    })
  if (unset !== true && value === undefined) {
    const current = { ...asTable(config) }[name]
    return context.print(current === undefined ? `${name} is not set` : printable(current))
  }
  await writeUserConfig(env, changed(config, name, value))
  context.print(value === undefined ? `${name} is no longer set` : `${name} is ${printable(value)} now`)
}

const asTable = (config: UserConfig): Record<string, string | undefined> => ({
  'default-builder': config.defaultBuilder,
  'pull-policy': config.pullPolicy,
  'default-destination': config.defaultDestination,
})

function changed(config: UserConfig, name: string, value: string | undefined): UserConfig {
  switch (name) {
    case 'default-builder':
      return { ...config, defaultBuilder: value }
    case 'pull-policy':
      return { ...config, pullPolicy: pullPolicies.find((policy): policy is PullPolicy => policy === value) }
    default:
      return {
        ...config,
        defaultDestination: value === 'docker' ? 'docker' : value === undefined ? undefined : 'store',
      }
  }
}

/** `*` means all registries without mirrors of their own. */
const registryOf = (text: string): string => (text === '*' ? text : parseRegistry(text, 'registry-mirrors'))

const runImageOf = (text: string): string => {
  parseImageReference(text)
  return text
}

/** The settings that list mirrors, each by what it mirrors: a run image or a registry. `check` throws for an invalid mirror. */
const kinds = {
  'run-image-mirrors': { key: 'runImageMirrors', nameOf: runImageOf, check: runImageOf },
  'registry-mirrors': { key: 'registryMirrors', nameOf: registryOf, check: requireMirror },
} as const
export type MirrorKind = keyof typeof kinds

export async function addMirrorCommand(
  context: CommandContext,
  kind: MirrorKind,
  text: string,
  options: GlobalOptions,
): Promise<void> {
  const { key, nameOf, check } = kinds[kind]
  const name = nameOf(text)
  for (const mirror of options.mirror ?? []) check(mirror)
  const config = await readUserConfig(context.env)
  const mirrors = [...new Set([...(config[key][name] ?? []), ...(options.mirror ?? [])])]
  await writeUserConfig(context.env, { ...config, [key]: { ...config[key], [name]: mirrors } })
  context.print(`${printable(name)}: ${printable(mirrors.join(', '))}`)
}

export async function removeMirrorCommand(
  context: CommandContext,
  kind: MirrorKind,
  text: string,
  options: GlobalOptions,
): Promise<void> {
  const { key, nameOf } = kinds[kind]
  const name = nameOf(text)
  const config = await readUserConfig(context.env)
  const { [name]: before, ...others } = config[key]
  if (before === undefined)
    throw new BaleError('arguments', `there are no mirrors of ${name}`, {
      fix: `see the list: bale config ${kind} list`,
    })
  const kept = options.mirror === undefined ? [] : before.filter(mirror => !options.mirror?.includes(mirror))
  await writeUserConfig(context.env, { ...config, [key]: kept.length === 0 ? others : { ...others, [name]: kept } })
  context.print(`${printable(name)}: ${kept.length === 0 ? 'no mirrors left' : printable(kept.join(', '))}`)
}

export async function listMirrorsCommand(context: CommandContext, kind: MirrorKind): Promise<void> {
  const entries = Object.entries((await readUserConfig(context.env))[kinds[kind].key])
  if (entries.length === 0) return context.print('There are no mirrors')
  for (const [name, mirrors] of entries) context.print(`${printable(name)}: ${printable(mirrors.join(', '))}`)
}
