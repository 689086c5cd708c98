import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { expectationEntries, parseAs } from '../../lifecycle/cli/app-test/expectation.ts'
import { root } from './bale.ts'

/** test/apps/README.md says what each key means. */
const expectedSchema = v.strictObject({
  ...expectationEntries,
  detect: v.optional(v.array(v.pipe(v.string(), v.startsWith('bale/')))),
  remote: v.optional(v.string()),
  figures: v.optional(v.strictObject({ title: v.string(), change: v.string() })),
  quick: v.optional(v.literal(true)),
})
export type Expected = v.InferOutput<typeof expectedSchema>

/** An application that a real build builds. */
export interface TestApp {
  readonly name: string
  readonly dir: string
  readonly expected: Expected
}

const appsDir = join(root, 'test', 'apps')

/** @throws BaleError for an invalid expect.json; names the file and the key */
export function readApps(dir = appsDir): TestApp[] {
  const folders = readdirSync(dir, { withFileTypes: true }).filter(entry => entry.isDirectory())
  return folders
    .map(({ name }) => ({ name, dir: join(dir, name), expected: readExpected(join(dir, name, 'expect.json')) }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

const readExpected = (file: string): Expected => parseAs(expectedSchema, readFileSync(file), file)

/** The inputs of the rotation. */
export interface Landing {
  /** Grows by one with each commit. */
  readonly number: number
  /** The files that the commit changes, as paths from the root of the repository. */
  readonly changed: readonly string[]
}

/** After this many consecutive commits, each app has been built once. */
export const turns = 3
/** The limit for one run of CI. Further apps of changed buildpacks are built by the next commits, in their turn. */
export const mostApps = 66

/**
 * The apps for a run. `all`; `quick`: the few of `npm test`; `rotation`: of the others, those that are due with this commit, and those
 * that changed or whose buildpacks changed; or a list of names and prefixes, separated by commas.
 */
export function chooseApps(apps: readonly TestApp[], wanted: string, landing: () => Landing): TestApp[] {
  if (wanted === 'all') return [...apps]
  if (wanted === 'quick') return apps.filter(({ expected }) => expected.quick === true)
  if (wanted === 'rotation') {
    const { number, changed } = landing()
    const others = apps.filter(({ expected }) => expected.quick !== true)
    const isNow = (app: TestApp): boolean => turnOf(app) === number % turns
    const itself = (app: TestApp): boolean => changed.some(path => path.startsWith(`test/apps/${app.name}/`))
    const inTurn = others.filter(app => isNow(app) || itself(app))
    const ofBuildpacks = others.filter(app => !inTurn.includes(app) && isChanged(app, changed))
    return [...inTurn, ...ofBuildpacks.slice(0, Math.max(0, mostApps - inTurn.length))]
  }
  const beginnings = wanted.split(',').filter(text => text !== '')
  const unknown = beginnings.find(text => !apps.some(({ name }) => name.startsWith(text)))
  if (unknown !== undefined) throw new Error(`no app in test/apps has a name that begins with ${unknown}`)
  return apps.filter(({ name }) => beginnings.some(text => name.startsWith(text)))
}

/** Depends only on the name, so a new app does not change when the others are built. */
function turnOf({ name }: TestApp): number {
  return createHash('sha256').update(name).digest().readUInt32BE() % turns
}

function isChanged({ expected }: TestApp, changed: readonly string[]): boolean {
  const folders = (expected.detect ?? []).map(id => `buildpacks/${id.slice('bale/'.length)}/`)
  return changed.some(path => folders.some(folder => path.startsWith(folder)))
}

/** The current commit, with the files that differ from `origin/main`, or otherwise the files that the commit itself changes. */
export function currentLanding(dir = root): Landing {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  if (!existsSync(join(dir, '.git'))) return { number: 0, changed: [] }
  const head = git('rev-parse', 'HEAD')
  // A shallow clone does not know how many commits there are.
  const isShallow = git('rev-parse', '--is-shallow-repository') === 'true'
  const number = isShallow ? parseInt(head.slice(0, 8), 16) : Number(git('rev-list', '--count', 'HEAD'))
  const base = [() => git('merge-base', 'HEAD', 'origin/main'), () => git('rev-parse', 'HEAD~1')]
    .map(attempt)
    .find(commit => commit !== undefined && commit !== head)
  return { number, changed: base === undefined ? [] : git('diff', '--name-only', base, 'HEAD').split('\n') }
}

function attempt(find: () => string): string | undefined {
  try {
    return find()
  } catch {
    return undefined
  }
}
