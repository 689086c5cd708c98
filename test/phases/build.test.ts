import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { BaleError } from '../../lifecycle/errors.ts'
import { build } from '../../lifecycle/phases/build.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { buildInput, buildpack, recorder } from './harness.ts'

describe('build', () => {
  it('runs the group in order and gathers what each leaves in metadata.toml', async () => {
    const dir = await temporaryDirectory()
    const tree = {
      ...buildpack('one', {
        build: `cat > "$CNB_LAYERS_DIR/launch.toml" <<E
[[processes]]
type = "web"
command = ["serve"]
args = ["--port", "80"]
default = true
[[labels]]
key = "k"
value = "v"
E`,
      }),
      ...buildpack('two', {
        build: `printf '[[processes]]\\ntype = "worker"\\ncommand = ["work"]\\n' > "$1/launch.toml"`,
      }),
    }
    const metadata = await build(await buildInput(dir, tree, ['one', 'two']))
    expect(metadata.processes.map(p => [p.type, p.buildpackId, p.default])).toEqual([
      ['web', 'one', true],
      ['worker', 'two', false],
    ])
    expect(metadata.defaultProcessType).toBe('web')
    expect(metadata.labels).toEqual([{ key: 'k', value: 'v' }])
    expect(await readFile(join(dir, 'layers/config/metadata.toml'), 'utf8')).toContain(
      'buildpack-default-process-type = "web"',
    )
  })

  it.each(['0.7', '0.8', '0.9', '0.10', '0.11', '0.12'])(
    'gives bin/build the inputs of Buildpack API %s',
    async api => {
      const dir = await temporaryDirectory()
      const script = `{ printf '%s\\n' "$0" "$1" "$2" "$#" "$PWD"; cat "$3"; env; } > "${dir}/seen"`
      const providers = [{ id: 'a/one', version: '1.0.0' }]
      const plan = {
        entries: [
          { providers, requires: [{ name: 'mine', metadata: {} }] },
          { providers: [{ id: 'other', version: '1.0.0' }], requires: [{ name: 'not mine', metadata: {} }] },
        ],
      }
      await build(await buildInput(dir, buildpack('a/one', { api, build: script }), ['a/one'], plan))
      const seen = await readFile(join(dir, 'seen'), 'utf8')
      const [executable, layers, platform] = [
        `${dir}/buildpacks/a_one/1.0.0/bin/build`,
        `${dir}/layers/a_one`,
        `${dir}/platform`,
      ]
      const inputs = [executable, layers, platform, '3', `${dir}/workspace`, '[[entries]]\nname = "mine"\n']
      expect(seen.startsWith(inputs.join('\n'))).toBe(true)
      expect(seen).not.toContain('not mine')
      const minor = Number(api.slice(2))
      expect(seen).toContain(`CNB_BUILDPACK_DIR=${dir}/buildpacks/a_one/1.0.0\n`)
      for (const [variable, since] of [
        [`CNB_LAYERS_DIR=${layers}\n`, 8],
        [`CNB_PLATFORM_DIR=${platform}\n`, 8],
        ['CNB_BP_PLAN_PATH=/', 8],
        [
          'CNB_TARGET_OS=linux\nCNB_TARGET_ARCH=amd64\nCNB_TARGET_DISTRO_NAME=debian\nCNB_TARGET_DISTRO_VERSION=13\n',
          10,
        ],
        ['CNB_EXEC_ENV=production\n', 12],
      ] as const)
        for (const line of variable.split(/(?<=\n)(?=.)/)) expect(seen.includes(line), line).toBe(minor >= since)
    },
  )

  it.each([
    ['false', 'A=user\n'],
    ['true', ''],
  ])('sets what the user gave, unless clear-env is true: %s', async (clearEnv, expected) => {
    const dir = await temporaryDirectory()
    const script = `env | grep ^A= > "${dir}/seen"; cat "$CNB_PLATFORM_DIR/env/A" > "${dir}/file"`
    const tree = {
      ...buildpack('one', { toml: `clear-env = ${clearEnv}\n`, build: script }),
      'platform/env/A': 'user',
    }
    const input = await buildInput(dir, tree, ['one'])
    const user = [{ name: 'A', value: 'user', where: 'A' }]
    await build({ ...input, env: { ...input.env, user } })
    expect(await readFile(join(dir, 'seen'), 'utf8')).toBe(expected)
    expect(await readFile(join(dir, 'file'), 'utf8')).toBe('user')
  })

  it.each([
    ['', 'eight'],
    ['.override', 'eight'],
    ['.default', 'one'],
    ['.append', 'onetwothreefourfivesixseveneight'],
    ['.prepend', 'eightsevensixfivefourthreetwoone'],
  ])('applies X%s of env, then env.build, layer by layer, buildpack by buildpack', async (suffix, expected) => {
    const dir = await temporaryDirectory()
    // The second layer is made first: what counts is the name.
    const script = (one: string, two: string, three: string, four: string): string =>
      `mkdir -p "$1/b/env" "$1/b/env.build" "$1/a/env" "$1/a/env.build"
printf ${one} > "$1/a/env/X${suffix}"; printf ${two} > "$1/a/env.build/X${suffix}"
printf ${three} > "$1/b/env/X${suffix}"; printf ${four} > "$1/b/env.build/X${suffix}"
for l in b a; do printf '[types]\\nbuild = true\\n' > "$1/$l.toml"; done`
    const tree = {
      ...buildpack('z/first', { build: script('one', 'two', 'three', 'four') }),
      ...buildpack('a/second', { build: script('five', 'six', 'seven', 'eight') }),
      ...buildpack('last', { build: `printf %s "$X" > "${dir}/x"` }),
    }
    await build(await buildInput(dir, tree, ['z/first', 'a/second', 'last']))
    expect(await readFile(join(dir, 'x'), 'utf8')).toBe(expected)
  })

  it('gives the environment of build layers to later buildpacks, and not of other layers', async () => {
    const dir = await temporaryDirectory()
    const tree = {
      ...buildpack('one', {
        build: `mkdir -p "$1/tools/bin" "$1/tools/env.build" "$1/app/bin" "$1/app/env"
printf on > "$1/tools/env.build/TOOL"; printf no > "$1/app/env/APP"
printf '[types]\\nbuild = true\\n' > "$1/tools.toml"; printf '[types]\\nlaunch = true\\n' > "$1/app.toml"`,
      }),
      ...buildpack('two', { build: `env > "${dir}/env"` }),
    }
    await build(await buildInput(dir, tree, ['one', 'two']))
    const env = await readFile(join(dir, 'env'), 'utf8')
    expect(env).toContain(`PATH=${dir}/layers/one/tools/bin:/usr/bin:/bin\n`)
    expect(env).toContain('TOOL=on\n')
    expect(env).not.toContain('APP=')
  })

  it('sets each path variable of a build layer', async () => {
    const dir = await temporaryDirectory()
    const dirs = 'mkdir -p "$1/l/bin" "$1/l/lib" "$1/l/include" "$1/l/pkgconfig"; '
    const tree = {
      ...buildpack('one', { build: `${dirs} printf '[types]\\nbuild = true\\n' > "$1/l.toml"` }),
      ...buildpack('two', { build: `env > "${dir}/env"` }),
    }
    await build(await buildInput(dir, tree, ['one', 'two']))
    const env = await readFile(join(dir, 'env'), 'utf8')
    const l = `${dir}/layers/one/l`
    for (const line of [
      `PATH=${l}/bin:/usr/bin:/bin`,
      `LD_LIBRARY_PATH=${l}/lib`,
      `LIBRARY_PATH=${l}/lib`,
      `CPATH=${l}/include`,
      `PKG_CONFIG_PATH=${l}/pkgconfig`,
    ])
      expect(env).toContain(`${line}\n`)
  })

  it('sets ignored layers aside', async () => {
    const dir = await temporaryDirectory()
    const tree = buildpack('one', { build: 'mkdir "$1/scratch"; touch "$1/scratch/x"; : > "$1/scratch.toml"' })
    await build(await buildInput(dir, tree, ['one']))
    expect((await stat(join(dir, 'layers/one/scratch.ignore/x'))).isFile()).toBe(true)
  })

  it('passes what a buildpack did not meet to the next provider', async () => {
    const dir = await temporaryDirectory()
    const tree = {
      ...buildpack('one', { build: `printf '[[unmet]]\\nname = "dep"\\n' > "$1/build.toml"` }),
      ...buildpack('two', { build: `cp "$CNB_BP_PLAN_PATH" "${dir}/plan"` }),
    }
    const providers = ['one', 'two'].map(id => ({ id, version: '1.0.0' }))
    const plan = { entries: [{ providers, requires: [{ name: 'dep', metadata: { version: '1' } }] }] }
    await build(await buildInput(dir, tree, ['one', 'two'], plan))
    expect(await readFile(join(dir, 'plan'), 'utf8')).toContain('name = "dep"')
  })

  it('gives what was met to no later buildpack', async () => {
    const dir = await temporaryDirectory()
    const tree = { ...buildpack('one', {}), ...buildpack('two', { build: `cp "$CNB_BP_PLAN_PATH" "${dir}/plan"` }) }
    const providers = ['one', 'two'].map(id => ({ id, version: '1.0.0' }))
    const plan = { entries: [{ providers, requires: [{ name: 'dep', metadata: {} }] }] }
    await build(await buildInput(dir, tree, ['one', 'two'], plan))
    expect(await readFile(join(dir, 'plan'), 'utf8')).toBe('entries = []\n')
  })

  it('refuses an SBOM in a format that buildpack.toml does not declare', async () => {
    const dir = await temporaryDirectory()
    const toml = 'sbom-formats = ["application/spdx+json"]\n'
    const tree = buildpack('one', { toml, build: `echo "{}" > "$1/launch.sbom.cdx.json"` })
    expect(await failureOf(build(await buildInput(dir, tree, ['one'])))).toMatchObject({
      code: 'input',
      fix: 'add "application/vnd.cyclonedx+json" to sbom-formats in its buildpack.toml',
    })
  })

  it('collects SBOM files by whether their layer is for launch', async () => {
    const dir = await temporaryDirectory()
    const tree = buildpack('one', {
      build: `mkdir "$1/app" "$1/tools"; printf '[types]\\nlaunch = true\\n' > "$1/app.toml"; printf '[types]\\nbuild = true\\n' > "$1/tools.toml"
for f in app tools launch build; do echo "{}" > "$1/$f.sbom.cdx.json"; done`,
    })
    await build(await buildInput(dir, tree, ['one']))
    const sbom = join(dir, 'layers/sbom')
    for (const path of [
      'launch/one/app/sbom.cdx.json',
      'launch/one/sbom.cdx.json',
      'build/one/tools/sbom.cdx.json',
      'build/one/sbom.cdx.json',
    ]) {
      expect((await stat(join(sbom, path))).isFile(), path).toBe(true)
    }
  })

  it('lets a script write to /dev/stderr by name', async () => {
    const dir = await temporaryDirectory()
    const input = await buildInput(dir, buildpack('one', { build: 'echo by name >/dev/stderr' }), ['one'])
    await build(input)
    expect(input.reporter.events).toContainEqual({ type: 'output', stream: 'stderr', text: 'by name' })
  })

  it('fails with 51 when a bin/build fails, and runs no further one', async () => {
    const dir = await temporaryDirectory()
    const tree = {
      ...buildpack('one', { build: 'echo "no compiler" >&2; exit 7' }),
      ...buildpack('two', { build: `touch "${dir}/ran"` }),
    }
    const input = await buildInput(dir, tree, ['one', 'two'])
    const error = (await failureOf(build(input))) as BaleError
    expect(error.code).toBe('buildpack-failed')
    expect(error.message).toContain('one@1.0.0')
    expect(error.message).toContain('status 7')
    expect(input.reporter.events).toContainEqual({ type: 'output', stream: 'stderr', text: 'no compiler' })
    expect(await failureOf(stat(join(dir, 'ran')))).toMatchObject({ code: 'ENOENT' })
  })

  it.each([
    ['D08 a file named ...toml', ': > "$1/...toml"', '...toml'],
    ['D09 a layer named store', 'mkdir "$1/sbom"; printf "[types]\\nlaunch = true\\n" > "$1/sbom.toml"', 'sbom.toml'],
    [
      'D10 a layer directory that is a link',
      'ln -s /etc "$1/x"; printf "[types]\\nlaunch = true\\n" > "$1/x.toml"',
      '/x',
    ],
    ['D11 a layer toml that is a link', 'ln -s /etc/passwd "$1/x.toml"', 'x.toml'],
    ['D11 P11 a layer toml that is a fifo', 'mkfifo "$1/x.toml"', 'x.toml'],
    ['D11 launch.toml that is a link', 'ln -s /etc/passwd "$1/launch.toml"', 'launch.toml'],
    [
      'P02 launch.toml that nests without end',
      'head -c 100000 /dev/zero | tr "\\0" "[" > "$1/launch.toml"',
      'launch.toml',
    ],
    ['P12 a link to a secret, which is not quoted back', 'ln -s /etc/passwd "$1/build.toml"', 'build.toml'],
    [
      'E01 an env file with a NUL',
      'mkdir -p "$1/x/env"; printf "a\\0b" > "$1/x/env/V"; printf "[types]\\nbuild = true\\n" > "$1/x.toml"',
      'env/V',
    ],
    [
      'E08 an env file that is a fifo',
      'mkdir -p "$1/x/env"; mkfifo "$1/x/env/V"; printf "[types]\\nbuild = true\\n" > "$1/x.toml"',
      'env/V',
    ],
  ])('%s is an error that names it', async (_name, script, where) => {
    const dir = await temporaryDirectory()
    const tree = { ...buildpack('one', { build: script }), ...buildpack('two', {}) }
    const error = (await failureOf(build(await buildInput(dir, tree, ['one', 'two'])))) as BaleError
    expect(error).toMatchObject({ code: 'input' })
    expect(error.where).toContain(where)
    expect(error.message).not.toContain('root:')
  })
})

describe('X49 a layer of a buildpack that has run', () => {
  const owner = buildpack('owner', {
    build: `mkdir "$CNB_LAYERS_DIR/tool" "$CNB_LAYERS_DIR/work"; printf 'the real one' > "$CNB_LAYERS_DIR/tool/node"
printf '[types]\\nlaunch = true\\nbuild = true\\ncache = true\\n[metadata]\\nkey = "1"\\n' > "$CNB_LAYERS_DIR/tool.toml"
printf '[types]\\ncache = true\\n[metadata]\\nkey = "1"\\n' > "$CNB_LAYERS_DIR/work.toml"`,
  })

  async function after(script: string) {
    const dir = await temporaryDirectory()
    const reporter = recorder()
    const tree = { ...owner, ...buildpack('later', { build: `cd "$CNB_LAYERS_DIR/../owner"; ${script}` }) }
    await build({ ...(await buildInput(dir, tree, ['owner', 'later'])), reporter })
    const read = (name: string) => readFile(join(dir, 'layers/owner', name), 'utf8')
    return { warnings: reporter.events.filter(e => e.type === 'warning'), read }
  }

  it.each([
    [
      'replaces a file by one of the same size and time',
      'printf "a backdoor!!" > n; touch -r tool/node n; mv n tool/node',
    ],
    ['writes into a file', 'printf "a backdoor!!" > tool/node'],
    ['adds a file', 'echo x > tool/more'],
    ['moves it away', 'mv tool elsewhere'],
  ])('is kept for no other build when a later one %s', async (_, script) => {
    const { warnings, read } = await after(script)
    expect(warnings).toMatchObject([{ text: expect.stringContaining('owner:tool was changed') as string }])
    expect(await read('tool.toml')).toMatch(/^cache = false$/m)
    expect(await read('tool.toml')).not.toContain('key')
    expect(await read('work.toml')).toContain('key')
  })

  it('stays as it is when a later one reads it, or works in a layer for the cache alone', async () => {
    const { warnings, read } = await after('cat tool/node; echo x > work/file')
    expect(warnings).toEqual([])
    expect(await read('tool.toml')).toContain('key = "1"')
  })
})
