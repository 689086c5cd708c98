import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { BaleError, isErrno } from '../errors.ts'
import { parseTomlDocument } from '../spec/toml.ts'
import { TomlDate } from '../spec/toml-values.ts'

/** One of the two images: its user and its Debian packages. */
export interface ImageDescription {
  readonly description: string
  readonly user: { readonly name: string; readonly id: number }
  readonly env: Readonly<Record<string, string>>
  /** Starts from Debian's `Essential: yes` packages; otherwise only from `packages` and their dependencies. */
  readonly essential: boolean
  readonly packages: readonly string[]
  /** Packages that are present while the others are configured, but not in the image. */
  readonly remove: readonly string[]
  /**
   * If not empty, the only packages in the image. All others are present only while these are configured, even the C library and
   * the shell, so no program of the remaining packages may need to run.
   */
  readonly only: readonly string[]
}

/** A `stack.toml`: two base images of one Debian release. */
export interface StackDescription {
  readonly id: string
  readonly maintainer: string
  readonly homepage?: string | undefined
  readonly debian: {
    readonly suite: string
    readonly components: readonly string[]
    readonly epoch: Date
  }
  readonly group: { readonly name: string; readonly id: number }
  readonly build: ImageDescription
  readonly run: ImageDescription
}

// Each of these values goes into a command line, an apt source or /etc/passwd, so the patterns allow no special characters.
const word = (pattern: RegExp, what: string) =>
  v.pipe(
    v.string(),
    v.regex(pattern, issue => `${JSON.stringify(issue.input)} is not ${what}`),
  )
const packageName = word(/^[a-z0-9][a-z0-9+.-]+$/, 'the name of a Debian package')
const account = v.strictObject({
  name: word(/^[a-z_][a-z0-9_-]{0,31}$/, 'a user or group name'),
  // Debian's packages create their users below 1000, and ids from 60000 on are reserved (Debian policy 9.2.2).
  id: v.pipe(v.number(), v.integer(), v.minValue(1000), v.maxValue(59_999)),
})
const oneLine = word(/^[^\r\n\0]+$/, 'one line of text')

const date = v.pipe(
  v.instance(TomlDate, 'not a date and time'),
  v.transform(({ text }) => new Date(text)),
  v.check(value => !Number.isNaN(value.getTime()), 'not a date and time'),
)

const image = v.strictObject({
  description: oneLine,
  user: account,
  env: v.optional(v.record(word(/^[A-Za-z_][A-Za-z0-9_]*$/, 'the name of a variable'), oneLine), {}),
  essential: v.optional(v.boolean(), true),
  packages: v.array(packageName),
  remove: v.optional(v.array(packageName), []),
  only: v.optional(v.array(packageName), []),
})

const stack = v.strictObject({
  // platform.md, "Target Data": the characters of a target id.
  id: word(/^[A-Za-z0-9./-]+$/, 'a stack id: letters, digits, ".", "/" and "-"'),
  maintainer: oneLine,
  homepage: v.optional(v.pipe(v.string(), v.url())),
  debian: v.strictObject({
    suite: word(/^[a-z][a-z0-9.-]*$/, 'the name of a Debian release'),
    components: v.optional(v.array(word(/^[a-z][a-z0-9-]*$/, 'a component of the archive')), ['main']),
    epoch: date,
  }),
  group: account,
  build: image,
  run: image,
})

/** Reads `<stackDir>/stack.toml`. */
export async function readDescription(stackDir: string): Promise<StackDescription> {
  const path = join(stackDir, 'stack.toml')
  try {
    return parseDescription(await readFile(path, 'utf8'), path)
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error
    throw new BaleError('input', `${stackDir} does not contain a stack.toml`, {
      where: path,
      fix: 'give a directory with a stack.toml, such as stacks/trixie',
      cause: error,
    })
  }
}

/** Parses the description in `text`. Every problem is an error with its place in the file. */
export function parseDescription(text: string, path: string): StackDescription {
  const { root, lines } = parseTomlDocument(text, path)
  const parsed = v.safeParse(stack, root)
  if (!parsed.success) {
    const issue = parsed.issues[0]
    // Values in an array have no line of their own; the key that holds it has.
    const line = issue.path?.map(({ input, key }) => lines.get(input as object)?.get(String(key))).findLast(Boolean)
    const place = line === undefined ? path : `${path}:${line}`
    throw new BaleError('input', issue.message, { where: `${place} ${v.getDotPath(issue) ?? ''}`.trimEnd() })
  }
  const { build, run } = parsed.output
  if (build.user.id === run.user.id) {
    const fix = 'give the run image another user, so that the application cannot change the built files'
    throw new BaleError('input', `build and run have the same user id ${run.user.id}`, {
      where: `${path} run.user`,
      fix,
    })
  }
  for (const [kind, { only, packages }] of [
    ['build', build],
    ['run', run],
  ] as const) {
    const strange = only.find(name => !packages.includes(name))
    if (strange === undefined) continue
    const fix = 'add it to the packages, too'
    throw new BaleError('input', `${strange} is listed to stay, but is not installed`, {
      where: `${path} ${kind}.only`,
      fix,
    })
  }
  return parsed.output
}
