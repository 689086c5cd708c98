import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  type BuildContext,
  byDefault,
  drop,
  keep,
  type Layer,
  type LayerDefinition,
  prepend,
} from '../../../buildpacks/sdk/index.ts'
import { spawnRunner } from '../../../buildpacks/sdk/command.ts'
import type { LayerTypes } from '../../../lifecycle/spec/types.ts'
import { buildpackDir, projectOf, writeBuildpackToml } from './project.ts'

const tool = (version: string, more: Partial<LayerDefinition> = {}): LayerDefinition => ({
  title: `Tool ${version}`,
  types: { launch: true, build: true, cache: true },
  key: { Tool: version, 'tool.lock': `sha256:${version}` },
  create: async dir => writeFile(join(dir, 'tool'), version),
  ...more,
})

/** A project whose build makes one layer as `wanted` says at the time, and remembers what came of it. */
async function layerProject(dir?: string) {
  const state: { wanted: LayerDefinition; layer?: Layer } = { wanted: tool('1.0') }
  const build = async (context: BuildContext) => {
    state.layer = await context.layer('tool', state.wanted)
    return {}
  }
  return { state, project: await projectOf(build, dir === undefined ? {} : { dir }) }
}

describe('a layer', () => {
  it('is created in the first build', async () => {
    const { project, state } = await layerProject()
    const { exitCode, layers, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(state.layer).toMatchObject({ state: 'created', path: join(project.layersDir, 'tool') })
    expect(await project.read('layers/tool/tool')).toBe('1.0')
    expect(layers['tool']).toEqual({
      types: { launch: true, build: true, cache: true },
      metadata: { buildpack: '1.2.3', key: { Tool: '1.0', 'tool.lock': 'sha256:1.0' } },
    })
    expect(output).toContain('Creating Tool 1.0 (not there yet)')
  })

  it('comes from the cache if its key is the same', async () => {
    const { project, state } = await layerProject()
    const first = await project.build()
    await project.nextBuild()
    state.wanted = tool('1.0', { create: () => Promise.reject(new Error('created again')) })
    const { exitCode, output, layers } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(state.layer).toMatchObject({ state: 'restored' })
    expect(output).toContain('Using Tool 1.0 from the cache')
    expect(layers).toEqual(first.layers)
  })

  it('is made anew in an empty directory, with the reason, if its key has changed', async () => {
    const { project, state } = await layerProject()
    await project.build()
    await project.nextBuild()
    await writeFile(join(project.layersDir, 'tool/left-over'), '')
    state.wanted = tool('1.1')
    const { output } = await project.build()
    expect(state.layer).toMatchObject({ state: 'created', reason: 'Tool 1.0 → 1.1, tool.lock changed' })
    expect(output).toContain('Creating Tool 1.1 (Tool 1.0 → 1.1, tool.lock changed)')
    expect(await readdir(join(project.layersDir, 'tool'))).toEqual(['tool'])
  })

  it('names parts of the key that came or went', async () => {
    const { project, state } = await layerProject()
    await project.build()
    await project.nextBuild()
    state.wanted = { ...tool('1.0'), key: { Tool: '1.0', arch: 'arm64' } }
    await project.build()
    expect(state.layer).toMatchObject({ reason: 'tool.lock is gone, arch is new' })
  })

  it('C21 is made anew where what no key holds has changed, and not asked about where the key has', async () => {
    const { project, state } = await layerProject()
    await project.build()
    await project.nextBuild()
    const asked: string[] = []
    const moved = (dir: string) => {
      asked.push(dir)
      return Promise.resolve(drop('the channel has moved'))
    }
    state.wanted = { ...tool('1.0'), isCurrent: ({ dir }) => moved(dir) }
    const { output } = await project.build()
    expect(output).toContain('Creating Tool 1.0 (the channel has moved)')
    expect(asked).toEqual([join(project.layersDir, 'tool')])
    await project.nextBuild()
    state.wanted = { ...tool('1.1'), isCurrent: ({ dir }) => moved(dir) }
    await project.build()
    expect(asked).toHaveLength(1)
  })

  it('is made anew by another version of the buildpack', async () => {
    const dir = await buildpackDir('1.2.3')
    const { project, state } = await layerProject(dir)
    await project.build()
    await project.nextBuild()
    await writeBuildpackToml(dir, '1.3.0')
    await project.build()
    expect(state.layer).toMatchObject({ state: 'created', reason: 'example/test 1.2.3 → 1.3.0' })
  })

  it('is made anew by another program of the same version, as while a buildpack is being written', async () => {
    const dir = await buildpackDir()
    await writeFile(join(dir, 'main.cjs'), 'one')
    const { project, state } = await layerProject(dir)
    await project.build()
    await project.nextBuild()
    await project.build()
    expect(state.layer).toMatchObject({ state: 'restored' })
    await writeFile(join(dir, 'main.cjs'), 'two')
    await project.nextBuild()
    expect((await project.build()).output).toContain('Creating Tool 1.0 (the program of example/test changed)')
  })

  it('that is for launch alone is reused from the previous image, without a directory', async () => {
    const { project, state } = await layerProject()
    state.wanted = tool('1.0', { types: { launch: true } })
    await project.build()
    await project.nextBuild()
    const { layers, output } = await project.build()
    expect(state.layer).toMatchObject({ state: 'reused' })
    expect(output).toContain('Using Tool 1.0 of the previous image')
    expect(layers['tool']?.types).toEqual({ launch: true, build: false, cache: false })
    expect(await readdir(project.layersDir)).toEqual(['tool.toml'])
  })

  it('whose directory the cache lost is made anew, since a build needs it', async () => {
    const { project, state } = await layerProject()
    await project.build()
    await project.nextBuild()
    await rm(join(project.layersDir, 'tool'), { recursive: true })
    await project.build()
    expect(state.layer).toMatchObject({ state: 'created', reason: 'its contents were not restored' })
  })

  it.each(['', 'not TOML [', 'metadata = 1\n', '[metadata]\nbuildpack = "1.2.3"\nkey = ["a"]\n'])(
    'with metadata that is not ours is made anew: %j',
    async text => {
      const { project, state } = await layerProject()
      await mkdir(join(project.layersDir, 'tool'))
      await writeFile(join(project.layersDir, 'tool.toml'), text)
      const { exitCode, output } = await project.build()
      expect(exitCode, output).toBe(0)
      expect(state.layer?.state).toBe('created')
    },
  )

  it('may judge by itself', async () => {
    const { project, state } = await layerProject()
    await project.build()
    await project.nextBuild()
    const seen: unknown[] = []
    const judged = (key: unknown) => {
      seen.push(key)
      return seen.length === 1 ? keep : drop('it is Tuesday')
    }
    state.wanted = tool('2.0', { restore: judged })
    await project.build()
    expect(state.layer?.state).toBe('restored')
    await project.build()
    expect(state.layer).toMatchObject({ state: 'created', reason: 'it is Tuesday' })
    expect(seen[0]).toEqual({ Tool: '1.0', 'tool.lock': 'sha256:1.0' })
  })

  it('keeps notes on its contents, which come back with it', async () => {
    const { project, state } = await layerProject()
    const notes = { packages: 'flask' }
    state.wanted = tool('1.0', { types: { launch: true }, create: () => Promise.resolve({ notes }) })
    await project.build()
    expect(state.layer?.notes).toEqual(notes)
    await project.nextBuild()
    await project.build()
    expect(state.layer).toMatchObject({ state: 'reused', notes })
    await project.nextBuild()
    state.wanted = tool('2.0')
    await project.build()
    expect(state.layer).toMatchObject({ state: 'created', notes: {} })
  })

  it('for a cache is silent, and outlives the buildpack’s version if it says so', async () => {
    const dir = await buildpackDir('1.2.3')
    const { project, state } = await layerProject(dir)
    const { title: _, ...cache } = tool('1.0', { types: { cache: true }, restore: () => keep })
    state.wanted = cache
    expect((await project.build()).output).toBe('')
    await project.nextBuild()
    await writeBuildpackToml(dir, '1.3.0')
    expect((await project.build()).output).toBe('')
    expect(state.layer?.state).toBe('restored')
  })

  it('leaves no metadata behind if it cannot be created', async () => {
    const { project, state } = await layerProject()
    await project.build()
    await project.nextBuild()
    state.wanted = tool('2.0', { create: () => Promise.reject(new Error('disk on fire')) })
    const { exitCode, output, layers } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toContain('disk on fire')
    expect(layers).toEqual({})
  })

  it('D09 cannot have a name that is not one directory or a reserved word', async () => {
    for (const name of ['..', 'a/b', 'launch', 'store', 'sbom']) {
      const project = await projectOf(async context => {
        await context.layer(name, tool('1.0'))
        return {}
      })
      const { exitCode, output } = await project.build()
      expect(exitCode).toBe(1)
      expect(output).toContain("cannot be a layer's name")
    }
  })

  it('brings variables for the build, for the application and for one process', async () => {
    const { project, state } = await layerProject()
    const env = {
      all: { NODE_ENV: byDefault('production') },
      build: { CPATH: prepend('/include', ':') },
      launch: { PORT: byDefault('8080') },
      processes: { worker: { QUEUE: byDefault('all') } },
    }
    state.wanted = tool('1.0', { create: () => Promise.resolve({ env }) })
    await project.build()
    expect(await project.read('layers/tool/env/NODE_ENV.default')).toBe('production')
    expect(await project.read('layers/tool/env.build/CPATH.prepend')).toBe('/include')
    expect(await project.read('layers/tool/env.build/CPATH.delim')).toBe(':')
    expect(await project.read('layers/tool/env.launch/PORT.default')).toBe('8080')
    expect(await project.read('layers/tool/env.launch/worker/QUEUE.default')).toBe('all')
  })

  it('E05 refuses a variable whose name would be another one’s', async () => {
    const { project, state } = await layerProject()
    state.wanted = tool('1.0', {
      create: () => Promise.resolve({ env: { all: { 'PATH.override': byDefault('/evil') } } }),
    })
    expect(await project.build()).toMatchObject({ exitCode: 1, layers: {} })
  })
})

describe('X40 a finished layer', () => {
  /** A runtime, and packages whose install script does what `attack` says; both in real programs' hands. */
  async function attacked(
    attack: string,
    cacheTypes: Partial<LayerTypes> = { build: true, launch: true, cache: true },
  ) {
    let script = attack
    const project = await projectOf(
      async ({ layer, run }) => {
        const runtime = await layer('runtime', {
          types: cacheTypes,
          key: { Runtime: '1' },
          create: async dir => writeFile(join(dir, 'node'), 'the real one'),
        })
        await layer('modules', {
          types: { launch: true },
          key: { lock: script },
          create: async () => void (await run(['sh', '-c', script], { env: { RUNTIME: runtime.path } })),
        })
        return {}
      },
      { runner: spawnRunner },
    )
    return {
      project,
      reform: (better: string) => void (script = better),
    }
  }
  const replace = `printf 'a backdoor!!' > "$RUNTIME/new" && touch -r "$RUNTIME/node" "$RUNTIME/new" && mv "$RUNTIME/new" "$RUNTIME/node"`

  it.each([
    ['replaces a program by one of the same size and time', replace],
    ['writes into a program', `printf 'a backdoor!!' > "$RUNTIME/node"`],
    ['puts a file beside it', `printf x > "$RUNTIME/more"`],
    ['removes a file', `rm "$RUNTIME/node"`],
    ['makes it setuid', `chmod 4755 "$RUNTIME/node"`],
    ['rewrites its TOML file', `printf '' > "$RUNTIME.toml"`],
    ['makes up a bill of materials', `printf '{}' > "$RUNTIME.sbom.cdx.json"`],
  ])('is kept for no later build when an install script %s', async (_, attack) => {
    const { project, reform } = await attacked(attack)
    const { exitCode, output, layers } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(output).toMatch(
      /Warning: the layer runtime was changed after it was finished, at (node|more|runtime\.(toml|sbom\.cdx\.json))/,
    )
    expect(layers['runtime']).toEqual({ types: { launch: true, build: true, cache: false }, metadata: {} })
    reform('true')
    await project.nextBuild()
    const next = await project.build()
    expect(next.exitCode, next.output).toBe(0)
    expect(await project.read('layers/runtime/node')).toBe('the real one')
    expect(next.layers['runtime']?.types).toMatchObject({ cache: true })
  })

  it('stays in the cache when nothing changed it, and a layer for the cache alone when something did', async () => {
    const still = await (await attacked('cat "$RUNTIME/node"')).project.build()
    expect(still.output).not.toContain('Warning')
    expect(still.layers['runtime']?.types).toMatchObject({ cache: true })
    const working = await (await attacked(replace, { cache: true })).project.build()
    expect(working.output).not.toContain('Warning')
    expect(working.layers['runtime']?.types).toMatchObject({ cache: true })
  })

  it('is open again while its buildpack makes it anew, as where the first choice of a compiler will not do', async () => {
    const readOnly: (readonly string[] | undefined)[] = []
    const project = await projectOf(
      async ({ layer, run }) => {
        for (const version of ['1', '2']) {
          await layer('compiler', {
            types: { build: true, cache: true },
            key: { Compiler: version },
            create: async dir => void (await run(['sh', '-c', `printf ${version} > "$1/cc"`, 'sh', dir])),
          })
          await run(['true'])
        }
        return {}
      },
      {
        runner: (command, onLine) => {
          readOnly.push(command.readOnly)
          return spawnRunner(command, onLine)
        },
      },
    )
    const { exitCode, output, layers } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(output).not.toContain('Warning')
    expect(layers['compiler']?.types).toMatchObject({ cache: true })
    expect(await project.read('layers/compiler/cc')).toBe('2')
    // Before the first is finished, and while the second is made.
    expect([readOnly[0], readOnly[2]]).toEqual([undefined, undefined])
  })
})
