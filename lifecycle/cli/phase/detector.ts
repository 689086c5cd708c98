import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { inPhase } from '../../errors.ts'
import { BuildpacksDir } from '../../phases/buildpacks-dir.ts'
import { detect, loadDescriptors } from '../../phases/detect.ts'
import { type GenerateInput, generate } from '../../phases/generate.ts'
import { clearGenerated } from '../../phases/generated-dir.ts'
import { proxiesOf, warnOfPasswords } from '../../phases/proxies.ts'
import { readTrusted, readUntrusted } from '../../files/read.ts'
import { formatAnalyzed, parseAnalyzed } from '../../spec/analyzed.ts'
import { inheritedEnv } from '../../spec/env.ts'
import { formatGroup } from '../../spec/group.ts'
import { parseOrder } from '../../spec/order.ts'
import { formatResolvedPlan } from '../../spec/plan.ts'
import { parseSystem, withSystem } from '../../spec/system.ts'
import type { Order, ResolvedPlan } from '../../spec/types.ts'
import type { PhaseCommand } from './binary.ts'
import { readBuildpackInputs } from './buildpack-inputs.ts'
import type { PhaseContext } from './context.ts'
import { readRequired, writeOutput } from './files.ts'
import { requireExperimental } from './modes.ts'
import { readRunDocument } from './run-toml.ts'

/** platform.md, "detector". */
export async function prepare(context: PhaseContext): Promise<PhaseCommand> {
  const { inputs, signal, env, log, io } = context
  // The process that started a build has already warned.
  if (env['BALE_LOG_FORMAT'] !== 'jsonl') warnOfPasswords(proxiesOf(inheritedEnv(env)), log)
  const order = await readOrder(context)
  const common = await readBuildpackInputs(context)
  const descriptors = await loadDescriptors(order, common.buildpacks)
  const extensions = new BuildpacksDir(inputs.path('extensions'), 'extension')
  for (const { id, version } of order.extensions.flat()) await extensions.find(id, version)
  return {
    images: undefined,
    async run() {
      const input = { ...common, extensions, generatedDir: inputs.path('generated'), supervisor: io.supervisor }
      if (order.extensions.length > 0) await clearGenerated(input.generatedDir)
      const { group, plan } = await detect({ ...input, order, descriptors }, signal)
      await writeOutput(inputs.path('group'), formatGroup(group))
      const left =
        group.extensions.length === 0 ? plan : await generateFor(context, { ...input, group: group.extensions, plan })
      await writeOutput(inputs.path('plan'), formatResolvedPlan(left))
    },
  }
}

/** Generates the Dockerfiles of extensions, and records their choice in analyzed.toml. Returns the plan for the buildpacks. */
async function generateFor(
  context: PhaseContext,
  input: Omit<GenerateInput, 'analyzed' | 'run' | 'features'>,
): Promise<ResolvedPlan> {
  const { inputs, features, signal } = context
  const path = inputs.path('analyzed')
  const content = await readUntrusted(path)
  const [before, run] = [content === undefined ? {} : parseAnalyzed(content, path), await readRunDocument(context)]
  const { analyzed, plan } = await inPhase('generate', () =>
    generate({ ...input, analyzed: before, run, features }, signal),
  )
  await writeOutput(path, formatAnalyzed(analyzed))
  return plan
}

async function readOrder({ inputs, env, features, log }: PhaseContext): Promise<Order> {
  const path = inputs.text('order') ?? (await firstThere(join(inputs.path('layers'), 'order.toml'), '/cnb/order.toml'))
  const found = parseOrder(await readRequired(readTrusted, path), path)
  // A builder may have extensions for newer platforms. Older platforms do not know them.
  if (!features.buildExtensions && found.extensions.length > 0)
    log.event({
      type: 'note',
      level: 'info',
      text: `The image extensions of the order are ignored: Platform API ${features.api} does not support them`,
    })
  const order = features.buildExtensions ? found : { ...found, extensions: [] }
  if (order.extensions.length > 0 && !features.extensionsAreStable) requireExperimental('image extensions', env, log)
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
