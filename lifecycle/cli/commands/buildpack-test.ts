import { readdir, stat } from 'node:fs/promises'
import { basename, join, relative, resolve } from 'node:path'
import { BaleError } from '../../errors.ts'
import { readModule } from '../../platform/builders/module.ts'
import { type Check, checkApp, type TestedApp } from '../app-test/check.ts'
import { type Expectation, expectationFile, readExpectation } from '../app-test/expectation.ts'
import { ownProgram } from '../app-test/own-program.ts'
import type { CommandContext, GlobalOptions } from '../context.ts'
import { makeStyle, printable, printableLines } from '../text.ts'

export interface TestOptions extends GlobalOptions {
  readonly app?: readonly string[]
}

/**
 * Builds applications with a buildpack, in the sandbox, and compares the results of each with its expect.json.
 * @returns the exit status: 1 if an expectation is not met
 * @throws BaleError before anything is built, for an invalid buildpack or expect.json
 */
export async function testCommand(context: CommandContext, dir: string, options: TestOptions): Promise<number> {
  const buildpack = resolve(dir)
  const { id } = (await readModule(buildpack, 'the buildpack')).descriptor
  const dirs = options.app?.map(app => resolve(app)) ?? (await appsOf(buildpack))
  const apps: { readonly dir: string; readonly expected: Expectation }[] = []
  for (const app of dirs) apps.push({ dir: app, expected: await readExpectation(app) })
  const build = ['--buildpack', buildpack, ...passedOn(options)]
  let failed = 0
  for (const { dir: app, expected } of apps) {
    const image = `buildpack-test-${plain(id)}-${plain(basename(app))}`
    if (!(await testApp(context, { image, dir: app, expected, build }, options))) failed++
  }
  const style = makeStyle(context.color)
  const count = `${apps.length} ${apps.length === 1 ? 'application' : 'applications'}`
  context.print(
    failed === 0
      ? `${style.green('Passed:')} ${count} with ${printable(id)}`
      : `${style.red('FAILED:')} ${failed} of ${count} with ${printable(id)}`,
  )
  return failed === 0 ? 0 : 1
}

/** Prints each check. If the output of the build was not shown, a failure comes with its last lines. */
async function testApp(context: CommandContext, app: TestedApp, { quiet }: TestOptions): Promise<boolean> {
  const style = makeStyle(context.color)
  const place = relative('.', app.dir) || '.'
  if (quiet !== true) context.print(style.bold(`Testing with ${printable(place)}`))
  const commands = ownProgram(context, text => quiet !== true && context.print(indented(text)))
  let checks = 0
  const failures: Check[] = []
  for await (const check of checkApp(app, commands)) {
    checks++
    if (check.failure !== undefined) failures.push(check)
    if (quiet === true) continue
    context.print(`${check.failure === undefined ? style.green('  ok ') : style.red('  not')} ${printable(check.what)}`)
  }
  for (const { what, failure = '', printed = '' } of failures) {
    const details = quiet === true && printed !== '' ? `:\n${printed}` : ''
    context.print(
      `${style.red('FAILED:')} ${printable(place)}: ${printable(what)}, but ${printableLines(failure + details)}`,
    )
  }
  if (failures.length > 0)
    context.print(`${style.bold('Fix:')} correct the buildpack, or ${printable(join(place, expectationFile))}`)
  if (failures.length > 0 && quiet !== true && checks > 1)
    context.print(`The image is kept: bale inspect ${app.image}, bale run ${app.image}`)
  return failures.length === 0
}

const indented = (text: string): string => text.trimEnd().replaceAll(/^/gm, '  ')

/** Lists the test applications of a buildpack: the folders of its `test/` with an expect.json. */
async function appsOf(buildpack: string): Promise<string[]> {
  const parent = join(buildpack, 'test')
  const entries = await readdir(parent, { withFileTypes: true }).catch(() => [])
  const dirs = entries.filter(entry => entry.isDirectory()).map(({ name }) => join(parent, name))
  const isApp = await Promise.all(dirs.map(dir => stat(join(dir, expectationFile)).then(Boolean, () => false)))
  const apps = dirs.filter((_, i) => isApp[i]).toSorted()
  if (apps.length > 0) return apps
  throw new BaleError(
    'arguments',
    `there is no application to test with: none of its folders has an ${expectationFile}`,
    {
      where: parent,
      fix: 'create one there, or give another place with --app DIR',
    },
  )
}

/** Returns the options that are passed on to `bale build`. */
function passedOn({ builder, env = [], network, preBuildpack = [], postBuildpack = [], verbose }: TestOptions) {
  return [
    ...(builder === undefined ? [] : ['--builder', builder]),
    ...(network === undefined ? [] : ['--network', network]),
    ...env.flatMap(pair => ['--env', pair]),
    ...preBuildpack.flatMap(uri => ['--pre-buildpack', uri]),
    ...postBuildpack.flatMap(uri => ['--post-buildpack', uri]),
    ...(verbose === true ? ['--verbose'] : []),
  ]
}

const plain = (text: string): string =>
  text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
