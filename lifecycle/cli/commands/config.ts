import { BaleError } from '../../errors.ts'
import { type PullPolicy, pullPolicies } from '../../stores/pull-policy.ts'
import { type UserConfig, readUserConfig, writeUserConfig } from '../config-file.ts'
import type { CommandContext, GlobalOptions } from '../context.ts'
import { printable } from '../text.ts'

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
    throw new BaleError('usage', 'it cannot be set and unset at once', {
      where: '--unset',
      fix: 'leave one of them out',
    })
  if (unset !== true && value === undefined) {
    const current = { ...asTable(config) }[name]
    return context.print(current === undefined ? `${name} is not set` : printable(current))
  }
  await writeUserConfig(env, changed(config, name, value))
  context.print(value === undefined ? `${name} is not set any more` : `${name} is ${printable(value)} now`)
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

export async function addMirrorCommand(context: CommandContext, image: string, options: GlobalOptions): Promise<void> {
  const config = await readUserConfig(context.env)
  const before = config.runImageMirrors[image] ?? []
  const mirrors = [...new Set([...before, ...(options.mirror ?? [])])]
  await writeUserConfig(context.env, { ...config, runImageMirrors: { ...config.runImageMirrors, [image]: mirrors } })
  context.print(`${printable(image)}: ${printable(mirrors.join(', '))}`)
}

export async function removeMirrorCommand(
  context: CommandContext,
  image: string,
  options: GlobalOptions,
): Promise<void> {
  const config = await readUserConfig(context.env)
  const { [image]: before, ...others } = config.runImageMirrors
  if (before === undefined)
    throw new BaleError('arguments', `there are no mirrors of ${image}`, {
      fix: 'see what there is: bale config run-image-mirrors list',
    })
  const kept = options.mirror === undefined ? [] : before.filter(mirror => !options.mirror?.includes(mirror))
  await writeUserConfig(context.env, {
    ...config,
    runImageMirrors: kept.length === 0 ? others : { ...others, [image]: kept },
  })
  context.print(`${printable(image)}: ${kept.length === 0 ? 'no mirrors any more' : printable(kept.join(', '))}`)
}

export async function listMirrorsCommand(context: CommandContext): Promise<void> {
  const { runImageMirrors } = await readUserConfig(context.env)
  const entries = Object.entries(runImageMirrors)
  if (entries.length === 0) return context.print('There are no mirrors')
  for (const [image, mirrors] of entries) context.print(`${printable(image)}: ${printable(mirrors.join(', '))}`)
}
