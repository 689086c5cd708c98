import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { BaleError } from '../../errors.ts'
import { detect, loadDescriptors } from '../../phases/detect.ts'
import { proxiesOf, warnOfPasswords } from '../../phases/proxies.ts'
import { readTrusted } from '../../files/read.ts'
import { inheritedEnv } from '../../spec/env.ts'
import { formatGroup } from '../../spec/group.ts'
import { parseOrder } from '../../spec/order.ts'
import { formatResolvedPlan } from '../../spec/plan.ts'
import { parseSystem, withSystem } from '../../spec/system.ts'
import type { Order } from '../../spec/types.ts'
import type { PhaseContext, PhaseCommand } from './binary.ts'
import { readBuildpackInputs } from './buildpack-inputs.ts'
import { readRequired, writeOutput } from './files.ts'
import { requireExperimental } from './modes.ts'

/** platform.md, "detector". */
export async function prepare(context: PhaseContext): Promise<PhaseCommand> {
  const { inputs, signal, env, log, io } = context
  // Who started us for a build has said it.
  if (env['BALE_LOG_FORMAT'] !== 'jsonl') warnOfPasswords(proxiesOf(inheritedEnv(env)), log)
  const order = await readOrder(context)
  const common = await readBuildpackInputs(context)
  const descriptors = await loadDescriptors(order, common.buildpacks)
  return {
    images: undefined,
    async run() {
      const { group, plan } = await detect({ ...common, order, descriptors, supervisor: io.supervisor }, signal)
      await writeOutput(inputs.path('group'), formatGroup(group))
      await writeOutput(inputs.path('plan'), formatResolvedPlan(plan))
    },
  }
}

async function readOrder({ inputs, env, features, log }: PhaseContext): Promise<Order> {
  const path = inputs.text('order') ?? (await firstThere(join(inputs.path('layers'), 'order.toml'), '/cnb/order.toml'))
  const found = parseOrder(await readRequired(readTrusted, path), path)
  // A builder may have extensions for newer platforms. Older platforms do not know them.
  if (!features.buildExtensions && found.extensions.length > 0)
    log.event({
      type: 'note',
      level: 'info',
      text: `The image extensions of the order take no part: Platform API ${features.api} does not know them`,
    })
  const order = features.buildExtensions ? found : { ...found, extensions: [] }
  if (order.extensions.length > 0) {
    if (!features.extensionsAreStable) requireExperimental('image extensions', env, log)
    throw new BaleError('input', 'the order has image extensions, which are not supported', {
      where: `${path} order-extensions`,
      fix: 'use an order with buildpacks only',
    })
  }
  if (!features.systemToml) return order
  const systemPath = inputs.path('system')
  const system = await readTrusted(systemPath)
  return system === undefined ? order : withSystem(order, parseSystem(system, systemPath))
}

async function firstThere(preferred: string, fallback: string): Promise<string> {
  return access(preferred).then(
    () => preferred,
    () => fallback,
  )
}
