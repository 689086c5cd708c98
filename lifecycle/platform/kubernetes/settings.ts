import { readFile } from 'node:fs/promises'
import * as v from 'valibot'
import { BaleError } from '../../errors.ts'
import { wrapErrno } from '../../files/wrap-errno.ts'
import { parseReference } from '../../image/reference.ts'
import { decode } from '../../spec/toml.ts'

// The settings file of builds on a cluster, in YAML: what a team decides once. docs/kubernetes.md describes it.

/** RFC 1123: names of objects, and keys of labels with their prefix. */
const objectName = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/
const labelKey = /^([a-z0-9.-]+\/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/
const labelValue = /^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/
const units: Readonly<Record<string, number>> = {
  ...{ m: 1e-3, '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15 },
  ...{ Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40, Pi: 2 ** 50 },
}
/** Kubernetes' resource.Quantity: 500m, 2, 1.5, 4Gi. */
const quantityText = new RegExp(`^(\\d+(?:\\.\\d+)?)(${Object.keys(units).join('|')})$`)

/** The number of CPUs or bytes that a quantity of the settings stands for. */
export function amountOf(quantity: string): number {
  const [, number = '', unit = ''] = quantityText.exec(quantity) ?? []
  return Number(number) * (units[unit] ?? Number.NaN)
}

const name = v.pipe(
  v.string('it is not a string: write the name of an object'),
  v.regex(objectName, 'it is not a valid object name: use lowercase letters, digits, - and .'),
)
const quantity = v.pipe(
  v.union([v.string(), v.number()], 'it is not a quantity: write for example 500m, 2 or 4Gi'),
  v.transform(String),
  v.regex(quantityText, 'it is not a quantity: write for example 500m, 2 or 4Gi'),
)
const notDuration = 'it is not a duration: write seconds, or for example 10m or 2h'
const duration = v.union(
  [
    v.pipe(v.number(), v.integer(), v.minValue(0)),
    v.pipe(
      v.string(),
      v.regex(/^\d{1,6}[smh]$/),
      v.transform(text => Number(text.slice(0, -1)) * ({ s: 1, m: 60, h: 3600 }[text.slice(-1)] as number)),
    ),
  ],
  notDuration,
)
const texts = v.record(
  v.pipe(v.string(), v.regex(labelKey, 'it is not a valid key: write NAME or PREFIX/NAME')),
  v.pipe(
    v.string('it is not a string: put it in quotes'),
    v.regex(labelValue, 'it is not a valid label value: use letters, digits, -, _ and .'),
  ),
  'it is not a map of names to strings',
)
const image = v.pipe(
  v.string('it is not a string: write the name of an image'),
  v.check(isReference, 'it is not a valid image name: write registry.example.com/NAME:TAG'),
)
const quantities = v.strictObject({
  cpu: v.optional(quantity),
  memory: v.optional(quantity),
  'ephemeral-storage': v.optional(quantity),
})
const id = v.pipe(
  v.number('it is not a number'),
  v.integer('it is not a whole number'),
  v.minValue(1, 'builds cannot run as root: write a number of 1 or more'),
  v.maxValue(2 ** 31 - 2, 'it is too large for a user'),
)

const schema = v.strictObject({
  builder: v.optional(image),
  serviceAccount: v.optional(name),
  imagePullSecrets: v.optional(v.array(name, 'it is not a list of names of Secrets')),
  imagePullPolicy: v.optional(
    v.picklist(['Always', 'IfNotPresent', 'Never'], 'it is not a policy: write Always, IfNotPresent or Never'),
  ),
  registrySecret: v.optional(name),
  gitSecret: v.optional(name),
  certificates: v.optional(
    v.strictObject({
      configMap: name,
      key: v.pipe(
        v.string('it is not a string: write the key that has the certificates'),
        v.regex(/^[A-Za-z0-9._-]{1,253}$/, 'it is not a valid ConfigMap key: use letters, digits, -, _ and .'),
      ),
    }),
  ),
  bindings: v.optional(
    v.pipe(
      v.array(name, 'it is not a list of names of Secrets'),
      v.check(names => new Set(names).size === names.length, 'a name is given twice: write each once'),
    ),
  ),
  resources: v.optional(v.strictObject({ requests: v.optional(quantities), limits: v.optional(quantities) })),
  nodeSelector: v.optional(texts),
  tolerations: v.optional(
    v.array(
      v.strictObject({
        key: v.optional(v.string('it is not a string')),
        operator: v.optional(v.picklist(['Exists', 'Equal'], 'it is not an operator: write Exists or Equal')),
        value: v.optional(v.string('it is not a string: put it in quotes')),
        effect: v.optional(
          v.picklist(
            ['NoSchedule', 'PreferNoSchedule', 'NoExecute'],
            'it is not an effect: write NoSchedule, PreferNoSchedule or NoExecute',
          ),
        ),
        tolerationSeconds: v.optional(v.pipe(v.number('it is not a number'), v.integer('it is not a whole number'))),
      }),
      'it is not a list of tolerations',
    ),
  ),
  priorityClass: v.optional(name),
  cache: v.optional(
    v.pipe(
      v.strictObject({ claim: v.optional(name), image: v.optional(image) }),
      v.check(
        ({ claim, image: cacheImage }) => (claim === undefined) !== (cacheImage === undefined),
        'a cache is either a claim or an image: write one of them',
      ),
    ),
  ),
  ttl: v.optional(duration),
  queue: v.optional(name),
  labels: v.optional(texts),
  user: v.optional(v.strictObject({ uid: id, gid: id })),
})

/** Each key is optional. Durations are in seconds. */
export type ClusterSettings = v.InferOutput<typeof schema>

/**
 * Reads a settings file.
 * @throws BaleError 'input', which names the first key that is unknown or has an unusable value
 */
export async function readClusterSettings(file: string): Promise<ClusterSettings> {
  return await parseClusterSettings(decode(await wrapErrno(file, () => readFile(file)), file), file)
}

export async function parseClusterSettings(text: string, where: string): Promise<ClusterSettings> {
  const { load, YAMLException } = await import('js-yaml')
  let document: unknown
  try {
    document = text.trim() === '' ? {} : load(text)
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error
    throw new BaleError('input', `not YAML: ${error.reason}`, {
      where: `${where}:${error.mark === undefined ? 1 : error.mark.line + 1}`,
      fix: 'correct it; docs/kubernetes.md has an example',
    })
  }
  return checkClusterSettings(document ?? {}, where)
}

/**
 * Checks settings that a program passes.
 * @throws BaleError 'input' as for a file
 */
export function checkClusterSettings(document: unknown, where: string): ClusterSettings {
  const parsed = v.safeParse(schema, document)
  if (parsed.success) return parsed.output
  const issue = parsed.issues[0] as v.BaseIssue<unknown>
  const path = v.getDotPath(issue) ?? ''
  const at = `${where} ${path}`.trimEnd()
  if (issue.type !== 'strict_object') {
    const [problem = '', advice] = issue.message.split(/: (?=write|use|put|root)/)
    return refuse(problem, at, advice ?? 'correct it')
  }
  const known = knownKeys(issue.path?.slice(0, -1) ?? [])
  if (issue.expected === 'never') return refuse('there is no such key', at, `use one of: ${known.join(', ')}`)
  if (issue.expected === 'Object')
    return refuse('it is not a map of keys', at, `use keys of: ${knownKeys(issue.path ?? []).join(', ')}`)
  return refuse('it is missing', at, 'write it')
}

function refuse(problem: string, where: string, fix: string): never {
  throw new BaleError('input', problem, { where, fix })
}

/** The valid keys of the map at a path, for the message about an unknown key. */
function knownKeys(path: readonly v.IssuePathItem[]): string[] {
  let at: unknown = schema
  for (const { key } of path) at = inner(at, key)
  return Object.keys(entriesOf(at))
}

function inner(at: unknown, key: unknown): unknown {
  const node = unwrapped(at)
  return typeof key === 'number' ? (node as { item?: unknown }).item : entriesOf(node)[String(key)]
}

function unwrapped(at: unknown): unknown {
  const node = at as { wrapped?: unknown; pipe?: readonly unknown[] } | undefined
  if (node?.wrapped !== undefined) return unwrapped(node.wrapped)
  return node?.pipe === undefined ? node : node.pipe[0]
}

const entriesOf = (at: unknown): Record<string, unknown> =>
  (unwrapped(at) as { entries?: Record<string, unknown> } | undefined)?.entries ?? {}

function isReference(text: string): boolean {
  try {
    parseReference(text)
    return true
  } catch {
    return false
  }
}
