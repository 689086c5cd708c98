import { describe, expect, it } from 'vitest'
import type { GlobalOptions } from '../../lifecycle/cli/context.ts'
import { fromPack, withoutLeading } from '../../lifecycle/cli/pack-options.ts'
import { makeProgram } from '../../lifecycle/cli/program.ts'

/** The options that a command line has. */
async function parse(...argv: string[]): Promise<GlobalOptions> {
  let found: GlobalOptions = {}
  const program = makeProgram(globals => Promise.resolve(void (found = globals)))
  for (const command of [program, ...program.commands]) command.exitOverride().configureOutput({ writeErr: () => {} })
  await program.parseAsync(withoutLeading(argv), { from: 'user' })
  return found
}

describe('a command line for pack', () => {
  it('has the short options of pack', async () => {
    const line = 'build app -p src -B builder -b a,b -b c -e A=1 -e B=2,3 -t x:1,x:2 -D worker -d p.toml -q'
    expect(await parse(...line.split(' '))).toMatchObject({
      path: 'src',
      builder: 'builder',
      buildpack: ['a', 'b', 'c'],
      env: ['A=1', 'B=2,3'],
      tag: ['x:1', 'x:2'],
      defaultProcess: 'worker',
      descriptor: 'p.toml',
      quiet: true,
    })
  })

  it.each([
    [['--verbose', 'build', 'app'], { verbose: true }],
    [['-q', '--timestamps', 'build', 'app'], { quiet: true, timestamps: true }],
    [['-v', 'rebase', 'app'], { verbose: true }],
  ])('may have options in front of the command: %j', async (argv, options) => {
    expect(await parse(...argv)).toMatchObject(options)
  })

  it('leaves the words of another program alone', () => {
    expect(withoutLeading(['-v', 'run', 'app', '--', '-v'])).toEqual(['run', 'app', '--verbose', '--', '-v'])
    expect(withoutLeading(['build', '--verbose'])).toEqual(['build', '--verbose'])
    expect(withoutLeading(['--verbose'])).toEqual(['--verbose'])
  })
})

describe('options of pack that Bale has otherwise', () => {
  const translated = (options: GlobalOptions) => {
    const notes: string[] = []
    const { cacheImage, cacheFrom, cacheTo } = fromPack(options, text => void notes.push(text))
    return { cacheImage, cacheFrom, cacheTo, notes }
  }
  const none = { cacheImage: undefined, cacheFrom: undefined, cacheTo: undefined, notes: [] }

  it.each<[string, object]>([
    ['type=build;format=image;name=r/app-cache', { cacheImage: 'r/app-cache' }],
    ['type=build;format=bind;source=/c', { cacheFrom: ['type=local,src=/c'], cacheTo: ['type=local,dest=/c'] }],
    ['type=build;format=volume', {}],
    ['type=build', {}],
    [
      'type=build;format=volume;name=shared',
      { notes: ['--cache name=shared changes nothing: each application has its own cache'] },
    ],
    [
      'type=build;format=image;name=r/c;type=launch;format=bind;source=/l',
      {
        cacheImage: 'r/c',
        notes: ['--cache type=launch changes nothing: Bale keeps image layers in the local store'],
      },
    ],
  ])('--cache %s', (cache, expected) => {
    expect(translated({ cache: [cache] })).toEqual({ ...none, ...expected })
  })

  it('adds a directory to the caches that are named', () => {
    const options = { cacheFrom: ['type=registry,ref=a'], cache: ['type=build;format=bind;source=/c'] }
    expect(translated(options).cacheFrom).toEqual(['type=registry,ref=a', 'type=local,src=/c'])
  })

  it.each([
    '',
    'format=image',
    'type=build;format=image',
    'type=build;format=bind',
    'type=build;format=bind;source=/a,b',
    'type=run',
    'type=build;format=x',
    'type=build;a=b',
    'type=launch;format=image;name=a',
  ])('refuses --cache %s', cache => {
    expect(() => translated({ cache: [cache] })).toThrow(
      expect.objectContaining({ where: `--cache ${cache}` }) as Error,
    )
  })

  it('refuses a second image for the cache', () => {
    const cache = ['type=build;format=image;name=a', 'type=build;format=image;name=b']
    expect(() => translated({ cache })).toThrow('a cache image is already given: a')
    expect(() => translated({ cacheImage: 'c', cache: cache.slice(1) })).toThrow('already given: c')
  })

  it('says which ones change nothing', () => {
    expect(translated({ trustBuilder: true, lifecycleImage: 'x' }).notes).toEqual([
      '--trust-builder changes nothing: analysis, restore and export never run in the builder',
      '--lifecycle-image changes nothing: analysis, restore and export never run in the builder',
    ])
  })
})

describe('options that pack has in every command', () => {
  const program = makeProgram(() => Promise.resolve())

  it.each([
    'inspect app',
    'config default-builder',
    'sbom download app',
    'builder suggest',
    'image ls',
    'history',
    'report',
  ])('bale %s takes them', async line => {
    const options = ['--quiet', '--no-color', '--timestamps']
    expect(await parse(...line.split(' '), ...options)).toMatchObject({ quiet: true, color: false, timestamps: true })
    expect(await parse(...line.split(' '), '-v', '--force-color')).toMatchObject({ verbose: true, forceColor: true })
  })

  it('leaves the options alone that mean something else there, and those that are shown in the help', async () => {
    expect(await parse('run', 'app', '-v', '/a:/b', '--force-color')).toMatchObject({ volume: ['/a:/b'] })
    const build = program.commands.find(command => command.name() === 'build')
    expect(build?.helpInformation()).toContain('--quiet')
    expect(build?.helpInformation()).not.toContain('--force-color')
  })

  it('refuses colours that are wanted and not wanted', async () => {
    await expect(parse('inspect', 'app', '--force-color', '--no-color')).rejects.toThrow('cannot be used with')
  })
})

describe('a script for pack', () => {
  it.each([
    ['inspect-image app -o human-readable', { output: 'human' }],
    ['builder inspect-builder b -o json', { output: 'json' }],
    ['buildpack new acme/a --version 1.2.3', { version: '1.2.3' }],
    ['extension new acme/a -V 1.2.3', { version: '1.2.3' }],
    ['buildpack package p --pull-policy never --tag a,b --flatten x', { pullPolicy: 'never', tag: ['a', 'b'] }],
    ['builder create b --config x --tag a,b --flatten x -r y', { tag: ['a', 'b'], buildpackRegistry: 'y' }],
    ['buildpack inspect p --registry r', { registry: 'r' }],
    ['build app --docker-host tcp://d:2375 --sparse -r y', { dockerHost: 'tcp://d:2375', sparse: true }],
    ['rebase app --previous-image b --pull-policy never', { previousImage: 'b', pullPolicy: 'never' }],
  ])('may run bale %s', async (line, options) => {
    expect(await parse(...line.split(' '))).toMatchObject(options)
  })
})
