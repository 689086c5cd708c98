import { describe, expect, it } from 'vitest'
import { findPrecompiled, precompiledOffers } from '../../buildpacks/ruby/precompiled.ts'
import { wantedRuby } from '../../buildpacks/ruby/version.ts'
import { App } from '../../buildpacks/sdk/index.ts'
import { failureOf } from '../helpers/failure.ts'
import { fakeMise } from '../helpers/fake-mise.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { writeTree } from '../helpers/tree.ts'

const tags = ['3.2.9-1', '3.4.6-1', '3.4.7-1', '3.4.7-2', '3.4.10-1', '4.0.0-preview2-1']

async function wantedOf(gemfile: string, env: Record<string, string> = {}) {
  const dir = await temporaryDirectory()
  await writeTree(dir, { Gemfile: gemfile })
  return wantedRuby({ app: new App(dir), env }, 'Gemfile', undefined)
}

describe('a precompiled Ruby', () => {
  it.each([
    ['ruby "3.4.7"', {}, '3.4.7'],
    ['ruby "~> 3.4.0"', {}, '3.4.10'],
    ['', { BP_MRI_VERSION: '3.2' }, '3.2.9'],
    ['', { BP_MRI_VERSION: '3.4.6' }, '3.4.10'],
  ])('is the newest one that %s %j accept', async (gemfile, env, release) => {
    const { context, commands, dir } = await fakeMise(tags)
    const found = await findPrecompiled(context, await wantedOf(gemfile, env), dir, ['3.3.14', '3.1.2'])
    expect(found.release).toBe(release)
    expect(commands).toEqual(['ls-remote --json github:jdx/ruby'])
  })

  it('is the last build of its release, and brings Bundler, headers and its own libraries in one layer', async () => {
    const { context, commands, dir } = await fakeMise(tags)
    const found = await findPrecompiled(context, await wantedOf('ruby "3.4.7"'), dir, ['3.3.14', '3.1.2'])
    const layer = `${dir}/ruby/ruby`
    expect(await found.provide(true)).toMatchObject({
      version: '3.4.7-2',
      abi: '3.4.0',
      program: `${layer}/bin/ruby`,
      env: { PATH: `${layer}/bin:` },
    })
    expect(commands.at(-1)).toBe(
      'install-into github:jdx/ruby[asset_pattern=ruby-*.x86_64_linux.tar.gz]@3.4.7-2 /ruby/ruby',
    )
  })

  it('is the same without the network', async () => {
    const { context, state, dir, output } = await fakeMise(tags)
    const find = async () =>
      (await findPrecompiled(context, await wantedOf('ruby "3.4.7"'), dir, ['3.3.14', '3.1.2'])).release
    expect(await find()).toBe('3.4.7')
    state.list = undefined
    expect(await find()).toBe('3.4.7')
    expect(output()).toContain('3.4.7-2 is used again')
  })

  it('that is not there is an error with the nearest one', async () => {
    const { context, state, dir, output } = await fakeMise(tags)
    const fail = async (gemfile: string) =>
      failureOf(findPrecompiled(context, await wantedOf(gemfile), dir, ['3.3.14', '3.1.2']))
    expect(await fail('ruby "3.2.1"')).toMatchObject({
      where: 'Gemfile:1',
      message: 'asks for Ruby 3.2.1, which is not available',
      fix: 'the nearest is 3.2.9, which is precompiled: write ruby "~> 3.2" if the application works with it',
    })
    state.list = undefined
    expect(await fail('ruby "3.4.7"')).toMatchObject({
      fix: expect.stringContaining('the nearest is 3.3.14') as unknown,
    })
    expect(output()).toContain('the list of precompiled Rubies is out of reach')
  })

  it('is listed for users', async () => {
    const { context, state } = await fakeMise(tags)
    expect(await precompiledOffers(context)).toMatchObject([{ versions: ['3.4.10', '3.4.7', '3.4.6', '3.2.9'] }])
    state.list = undefined
    expect(await precompiledOffers(context)).toMatchObject([
      { versions: [], more: 'builds that cannot be shown, as the list of them is out of reach' },
    ])
  })
})
