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

/** An application that is really built. */
export interface TestApp {
  readonly name: string
  readonly dir: string
  readonly expected: Expected
}

const appsDir = join(root, 'test', 'apps')

/** @throws BaleError that names the file and the key for an expect.json that is none */
export function readApps(dir = appsDir): TestApp[] {
  const folders = readdirSync(dir, { withFileTypes: true }).filter(entry => entry.isDirectory())
  return folders
    .map(({ name }) => ({ name, dir: join(dir, name), expected: readExpected(join(dir, name, 'expect.json')) }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

const readExpected = (file: string): Expected => parseAs(expectedSchema, readFileSync(file), file)

/** What the rotation depends on. */
export interface Landing {
  /** Grows by one with each commit. */
  readonly number: number
  /** Files that it changes, from the root of the repository. */
  readonly changed: readonly string[]
}

/** Commits in a row whose apps are all of them. */
export const turns = 3
/** What a run of CI has time for. The apps of changed buildpacks that are beyond it have their turn in the next commits. */
export const mostApps = 66

/**
 * The apps for a run. `all`; `quick`: the few of `npm test`; `rotation`: of the others, those whose turn it is with this commit, and those
 * that are changed, or whose buildpacks are; or names and beginnings of names, with commas.
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

/** By the name alone: a new app does not move the others to another turn. */
function turnOf({ name }: TestApp): number {
  return createHash('sha256').update(name).digest().readUInt32BE() % turns
}

function isChanged({ expected }: TestApp, changed: readonly string[]): boolean {
  const folders = (expected.detect ?? []).map(id => `buildpacks/${id.slice('bale/'.length)}/`)
  return changed.some(path => folders.some(folder => path.startsWith(folder)))
}

/** The commit that is checked out, and what it and those before it change that `origin/main` does not have; its own change otherwise. */
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
