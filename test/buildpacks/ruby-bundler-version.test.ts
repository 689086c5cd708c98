import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { checkAskedBundler, useAskedBundler } from '../../buildpacks/ruby/bundler-version.ts'
import { type Lock, readLock } from '../../buildpacks/ruby/lock-file.ts'
import { failureOf } from '../helpers/failure.ts'
import { projectOf } from './sdk/project.ts'

const gemfile = { file: 'Gemfile', lockFile: 'Gemfile.lock' }
const locked = (version: string) => ({
  'Gemfile.lock': `GEM\n  specs:\n\nDEPENDENCIES\n\nBUNDLED WITH\n   ${version}\n`,
})

/** The lock file as it is afterwards, with Ruby's own Bundler 2.5.22. */
async function used(app: Record<string, string>, asked: string) {
  const found: (Lock | undefined)[] = []
  const project = await projectOf(
    async context => {
      found.push(await useAskedBundler(context, '2.5.22', gemfile, await readLock(context.app, gemfile)))
      return {}
    },
    { app, env: { BP_BUNDLER_VERSION: asked } },
  )
  const { output, exitCode } = await project.build()
  const text = await readFile(join(project.appDir, 'Gemfile.lock'), 'utf8').catch(() => undefined)
  return { output, exitCode, text, bundler: found[0]?.bundler }
}

describe('the version of Bundler', () => {
  it.each([
    ['2.6.2', '2.4.1', '2.6.2'],
    ['2.4', '2.4.1', '2.4.1'],
    ['2.*', '2.4.1', '2.4.1'],
    ['2.5', '2.4.1', '2.5.22'],
    ['2.4.1', '2.4.1', '2.4.1'],
  ])('%s, with a lock file of %s, is %s', async (asked, before, after) => {
    const { output, exitCode, text, bundler } = await used(locked(before), asked)
    expect(exitCode, output).toBe(0)
    expect({ text, bundler }).toEqual({ text: locked(after)['Gemfile.lock'], bundler: after })
  })

  it('comes into a lock file that names none, or has the line ends of Windows', async () => {
    expect((await used({ 'Gemfile.lock': 'GEM\n  specs:\n' }, '2.6.2')).text).toBe(
      'GEM\n  specs:\n\nBUNDLED WITH\n   2.6.2\n',
    )
    const windows = locked('2.4.1')['Gemfile.lock'].replaceAll('\n', '\r\n')
    expect((await used({ 'Gemfile.lock': windows }, '2.6.2')).bundler).toBe('2.6.2')
  })

  it.each([
    [locked('2.4.1'), '3', 'Bundler 3 is not available', 'the nearest is 2.5.22, which comes with Ruby'],
    [locked('2.4.1'), '1.17.3', 'Bundler 1.17.3 is not available', 'from 2.0.0 on'],
    [locked('2.4.1'), 'new', '"new" is not a version of Bundler', 'write for example 2.5.22'],
    [{}, '2.6.2', 'without Gemfile.lock Bundler 2.5.22 runs', 'bundle lock'],
  ])('%j: %s is refused', async (app, asked, message, fix) => {
    const { output, exitCode } = await used(app, asked)
    expect(exitCode).toBe(1)
    expect(output).toContain(`Error: BP_BUNDLER_VERSION: ${message}`)
    expect(output).toContain(fix)
  })

  it('that the sources do not have is an error with the one that runs', async () => {
    const env = { BP_BUNDLER_VERSION: '2.99.0' }
    expect(await failureOf(Promise.resolve().then(() => checkAskedBundler(env, '2.99.0', '2.5.22')))).toMatchObject({
      where: 'BP_BUNDLER_VERSION',
      fix: expect.stringContaining('the nearest is 2.5.22') as unknown,
    })
    checkAskedBundler(env, '2.99.0', '2.99.0')
    checkAskedBundler({}, '2.99.0', '2.5.22')
  })
})
