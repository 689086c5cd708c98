import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { checkOffered } from '../../buildpacks/debian/offered-version.ts'
import { componentOf, digestOfSettings, parseLock } from '../../buildpacks/elixir/dependencies.ts'
import { elixir } from '../../buildpacks/elixir/elixir.ts'
import { installCommand, runDeployScript } from '../../buildpacks/elixir/packages.ts'
import { adviceOn } from '../../buildpacks/elixir/mix.ts'
import { checkDeclaredStart, needsSecret, ownProcesses, processesOf } from '../../buildpacks/elixir/start.ts'
import { wantedVersions } from '../../buildpacks/elixir/version.ts'
import { type BuildContext, Log } from '../../buildpacks/sdk/index.ts'
import { appOf } from '../helpers/app.ts'
import { failureOf } from '../helpers/failure.ts'
import { type Tree } from '../helpers/tree.ts'
import { openProject } from './sdk/project.ts'

const dir = join(import.meta.dirname, '../../buildpacks/elixir')
type Env = Record<string, string>

describe('detection', () => {
  it.each<[Tree, string]>([
    [{ 'mix.exs': '' }, 'Elixir: mix.exs'],
    [{ 'mix.exs': '', Procfile: 'web: mix phx.server\n' }, 'Elixir: the Procfile starts mix, and mix.exs'],
  ])('passes: %j', async (app, output) => {
    const project = await openProject({ buildpack: elixir, dir, app: app as Record<string, string> })
    expect(await project.detect()).toMatchObject({
      exitCode: 0,
      output: `${output}\n`,
      plan: { provides: [{ name: 'elixir' }] },
    })
  })

  it('does not pass without a project, whatever is chosen', async () => {
    const env = { BP_LANGUAGE: 'elixir' }
    const project = await openProject({ buildpack: elixir, dir, app: { 'a.exs': '' }, env })
    expect(await project.detect()).toMatchObject({ exitCode: 100 })
  })
})

describe('the versions', () => {
  const outcome = async (tree: Tree, env: Env = {}) => {
    const { elixir, erlang } = await wantedVersions({ app: await appOf(tree), env })
    return [
      ...checkOffered(elixir, 'Elixir', ['1.18.3'], (_, minor) => minor),
      ...checkOffered(erlang, 'Erlang', ['27.3.4.1'], (_, minor) => minor),
    ]
  }
  const mix = (requirement: string) => ({
    'mix.exs': `def project do\n  [app: :shop, version: "0.1.0", elixir: "${requirement}"]\nend\n`,
  })

  it.each<[Tree, Env]>([
    [{}, {}],
    [mix('~> 1.14'), {}],
    [mix('~> 1.18.0'), {}],
    [mix('>= 1.15.0 and < 2.0.0'), {}],
    [mix('~> 1.12.0 or ~> 1.18'), {}],
    [mix('1.18.3'), {}],
    [mix('!= 1.18.2'), {}],
    // What a program computes, only Mix can tell.
    [{ 'mix.exs': 'elixir: @elixir\n# elixir: "~> 2.0"\n' }, {}],
    [{ '.tool-versions': 'elixir 1.18.4-otp-27\nerlang 27.2\n' }, {}],
    [{ '.tool-versions': 'elixir v1.18\nerlang OTP-27.3.4\n' }, {}],
    [{ 'mise.toml': '[tools]\nelixir = "1.18"\nerlang = "27"\n' }, {}],
    [{ '.elixir-version': '1.18.0\n', '.erlang-version': '27.0\n' }, {}],
    [{ 'elixir_buildpack.config': '# ours\nelixir_version=1.18.1\nerlang_version=27.1 # OTP\n' }, {}],
    [{}, { RAILPACK_ELIXIR_VERSION: '1.18', RAILPACK_ERLANG_VERSION: '27.1' }],
    [{}, { BP_ELIXIR_VERSION: '1.18.*', BP_ERLANG_VERSION: '27.x' }],
    [{}, { BP_ELIXIR_VERSION: '~> 1.17', BP_ERLANG_VERSION: 'latest' }],
  ])('are met for %j and %j', async (tree, env) => {
    expect(await outcome(tree, env)).toEqual([])
  })

  it.each<[Tree, Env, string, string]>([
    [mix('~> 1.19'), {}, 'mix.exs:2', '1.18.3'],
    [mix('~> 1.17.0'), {}, 'mix.exs:2', '1.18.3'],
    [mix('>= 1.14.0 and < 1.18.0'), {}, 'mix.exs:2', '1.18.3'],
    [mix('> 1.18.3'), {}, 'mix.exs:2', '1.18.3'],
    [mix('1.18.4'), {}, 'mix.exs:2', '1.18.3'],
    [{ '.tool-versions': 'elixir 1.17.3-otp-27\n' }, {}, '.tool-versions', '1.18.3'],
    [{ '.tool-versions': 'elixir 1.18.0-rc.0\n' }, {}, '.tool-versions', '1.18.3'],
    [{ '.tool-versions': 'erlang 26.2.5\n' }, {}, '.tool-versions', '27.3.4.1'],
    [{ '.tool-versions': 'erlang 2.7\n' }, {}, '.tool-versions', '27.3.4.1'],
    [{ 'elixir_buildpack.config': 'elixir_version=1.1\n' }, {}, 'elixir_buildpack.config', '1.18.3'],
    [{ '.elixir-version': '1.18' }, { BP_ELIXIR_VERSION: '1.16' }, 'BP_ELIXIR_VERSION', '1.18.3'],
  ])('are refused with their place for %j and %j', async (tree, env, where, nearest) => {
    const failure = await failureOf(outcome(tree, env))
    expect(failure).toMatchObject({ where })
    expect((failure as { fix?: string }).fix).toContain(`the nearest is ${nearest}, the version of Debian 13`)
  })

  it.each<[Tree, Env, string, string]>([
    [mix('soon'), {}, 'mix.exs:2', '"soon" is not a version of Elixir'],
    [{ '.tool-versions': 'elixir ref:main\n' }, {}, '.tool-versions', '"ref:main" is not a version of Elixir'],
    [{}, { BP_ERLANG_VERSION: 'newest' }, 'BP_ERLANG_VERSION', '"newest" is not a version of Erlang'],
  ])('are none in %j and %j', async (tree, env, where, message) => {
    expect(await failureOf(outcome(tree, env))).toMatchObject({ where, message })
  })

  it('are warned of where a second place asks for another', async () => {
    expect(await outcome({ ...mix('~> 1.15'), '.tool-versions': 'elixir 1.16.0\n' })).toEqual([
      '.tool-versions asks for 1.16.0, but mix.exs:2 for ~> 1.15: the image has 1.18.3',
    ])
  })
})

describe('mix.lock', () => {
  it('has packages of Hex, of organizations, under other names, and commits of git', () => {
    const text = `%{
  "jason": {:hex, :jason, "1.4.4", "b9226785", [:mix], [{:decimal, "~> 1.0 or ~> 2.0", [hex: :decimal, repo: "hexpm", optional: true]}], "hexpm", "c5eb0cab"},
  "old": {:hex, :old, "0.1.0", "b9226785", [:rebar3], [], "hexpm"},
  "own": {:hex, :"own-name", "2.0.0-rc.1", "00", [:mix], [], "hexpm:acme", "11"},
  "heroicons": {:git, "https://someone:s3cr3t@example.com/heroicons.git", "88ab3a0d790e6a47404cba02800a6b25d2afae50", [tag: "v2.1.1", sparse: "optimized"]},
}
`
    const dependencies = parseLock(text)
    expect(dependencies).toEqual([
      { name: 'jason', package: 'jason', version: '1.4.4', repository: 'hexpm' },
      { name: 'old', package: 'old', version: '0.1.0', repository: 'hexpm' },
      { name: 'own', package: 'own-name', version: '2.0.0-rc.1', repository: 'hexpm:acme' },
      {
        name: 'heroicons',
        url: 'https://example.com/heroicons.git',
        commit: '88ab3a0d790e6a47404cba02800a6b25d2afae50',
      },
    ])
    expect(dependencies.map(each => componentOf(each).purl)).toEqual([
      'pkg:hex/jason@1.4.4',
      'pkg:hex/old@0.1.0',
      'pkg:hex/acme/own-name@2.0.0-rc.1',
      'pkg:generic/heroicons@88ab3a0d790e6a47404cba02800a6b25d2afae50?vcs_url=git%2Bhttps%3A%2F%2Fexample.com%2Fheroicons.git%4088ab3a0d790e6a47404cba02800a6b25d2afae50',
    ])
  })
})

describe('what dependencies are compiled with', () => {
  const umbrella = {
    'mix.exs': '',
    'config/config.exs': 'import_config "../apps/web/config/config.exs"\nimport_config "shared/db.exs"\n',
    'config/shared/db.exs': '',
    'apps/web/mix.exs': '',
    'apps/web/config/config.exs': '',
  }
  const digest = async (tree: Tree) => digestOfSettings(await appOf({ ...umbrella, ...tree }))

  it.each<[Tree]>([
    [{ 'mix.exs': '#' }],
    [{ 'config/config.exs': '#' }],
    [{ 'config/shared/db.exs': '#' }],
    [{ 'config/shared/runtime.exs': '' }],
    [{ 'apps/web/mix.exs': '#' }],
    [{ 'apps/web/config/config.exs': '#' }],
    [{ 'apps/web/config/env/prod.exs': '' }],
    [{ 'apps/shop/mix.exs': '' }],
  ])('changes with %j', async tree => expect(await digest(tree)).not.toBe(await digest({})))

  it.each<[Tree]>([
    [{ 'config/runtime.exs': '#' }],
    [{ 'apps/web/config/runtime.exs': '#' }],
    [{ 'config/notes.txt': '#', 'apps/web/lib/web.ex': '#' }],
  ])('is the same with %j', async tree => expect(await digest(tree)).toBe(await digest({})))
})

it.each<[string, string | undefined]>([
  [
    '** (System.EnvError) could not fetch environment variable "DATABASE_URL" because',
    'read DATABASE_URL in config/runtime.exs',
  ],
  ['(RuntimeError) environment variable PHX_HOST is missing.', 'read PHX_HOST in config/runtime.exs'],
  ['Failed to check for new Hex version\n{:failed_connect, []}\nversion solving failed', 'correct the requirements'],
  ['Failed to check for new Hex version\n{:failed_connect, []}\n(CompileError)', undefined],
  ['Failed to fetch record for acme/words', 'check the network'],
  ['Permission denied (publickey).\nenvironment variable PHX_HOST is missing', '--ssh default'],
])('what Mix says has a way out: %s', (output, fix) => {
  if (fix === undefined) expect(adviceOn(output)).toBeUndefined()
  else expect(adviceOn(output)).toContain(fix)
})

it.each<[Tree, string]>([
  [{}, 'npm install --include=dev'],
  [{ 'assets/package-lock.json': '{}' }, 'npm ci --include=dev'],
  [{ 'assets/yarn.lock': '# yarn lockfile v1\n' }, 'yarn install --frozen-lockfile --production=false'],
  [{ 'assets/yarn.lock': '__metadata:\n  version: 8\n' }, 'yarn install --immutable'],
  [{ 'assets/pnpm-lock.yaml': '' }, 'pnpm install --frozen-lockfile --prod=false'],
  [{ 'assets/bun.lock': '' }, 'bun install --frozen-lockfile'],
])('packages of assets with %j are installed with %s', async (tree, command) => {
  const app = await appOf({ 'assets/package.json': '{}', ...tree })
  expect((await installCommand(app, 'assets')).join(' ')).toBe(command)
})

describe('the script deploy', () => {
  const deploy = async (json: object) => {
    const commands: string[] = []
    const run = (argv: readonly string[]) => Promise.resolve(void commands.push(argv.join(' ')))
    const app = await appOf({ 'assets/package.json': JSON.stringify(json) })
    let said = ''
    const log = new Log({ stdout: () => {}, stderr: text => void (said += text) })
    await runDeployScript({ app, log, run } as unknown as BuildContext, 'assets')
    return { commands, said }
  }

  it.each([
    { deploy: 'webpack --mode production' },
    { deploy: 'NODE_ENV=production npx webpack --mode production' },
    { deploy: 'rm -rf ../priv/static/js && npm run build', build: 'node build.js --deploy' },
  ])('runs where it builds assets: %j', async scripts => {
    expect((await deploy({ scripts })).commands).toEqual(['npm run deploy'])
  })

  it.each([
    { deploy: 'gh-pages -d dist' },
    { deploy: 'webpack && aws s3 sync dist s3://shop' },
    { deploy: 'npm run deploy' },
  ])('is told of where it does more: %j', async scripts => {
    const { commands, said } = await deploy({ scripts })
    expect(commands).toEqual([])
    expect(said).toContain('assets/package.json scripts.deploy is not run')
  })

  it('is not another key of that name', async () => {
    expect(await deploy({ scripts: { build: 'x' }, config: { deploy: 'webpack' } })).toEqual({ commands: [], said: '' })
  })
})

describe('the start', () => {
  const silent = new Log({ stdout: () => {}, stderr: () => {} })
  const release = { name: 'shop', runtime: [], dependencies: [], applications: [], binaries: [] }

  it.each<[string, boolean]>([
    ['System.get_env("SECRET_KEY_BASE") ||', true],
    ['secret = System.fetch_env!("SECRET_KEY_BASE")', true],
    ['System.get_env("SECRET_KEY_BASE", "made-up")', false],
    ['# nothing', false],
  ])('with %s in config/runtime.exs asks for the secret: %s', async (text, expected) => {
    expect(await needsSecret(await appOf({ 'config/runtime.exs': text }))).toBe(expected)
  })

  it.each<[Tree, Env, string]>([
    [{ Procfile: 'web: mix phx.server\n' }, {}, 'the Procfile'],
    [{ Procfile: 'web: mix ecto.migrate && exec elixir -S mix phx.server\n' }, {}, 'the Procfile'],
    [{}, { RAILPACK_START_CMD: 'PORT=1 iex -S mix' }, 'RAILPACK_START_CMD'],
  ])('that needs the tools is refused with its place: %j, %j', async (tree, env, where) => {
    const app = await appOf({ ...tree, 'mix.exs': '[app: :shop]' })
    const failure = await failureOf(checkDeclaredStart(app, env, silent))
    expect(failure).toMatchObject({ where })
    expect((failure as { fix?: string }).fix).toContain('bin/shop start')
  })

  it.each(['bin/shop start', '_build/prod/rel/shop/bin/shop start', 'bin/mixer', 'bin/shop eval Mixer.run'])(
    'that starts the release is not: %s',
    async command => {
      let said = ''
      const log = new Log({ stdout: () => {}, stderr: text => (said += text) })
      const Procfile = `web: ${command}\nrelease: ${command}\n`
      await checkDeclaredStart(await appOf({ Procfile, 'mix.exs': '' }), {}, log)
      expect(said).toBe('')
    },
  )

  it.each([
    ['release', 'mix ecto.migrate', 'mix'],
    ['worker-2', 'cd . && exec elixir -S mix run', 'elixir'],
  ])('of another process that needs the tools is warned of: %s: %s', async (type, command, tool) => {
    let said = ''
    const log = new Log({ stdout: () => {}, stderr: text => (said += text) })
    const Procfile = `web: bin/shop start\n${type}: ${command}\n`
    await checkDeclaredStart(await appOf({ Procfile, 'mix.exs': '[app: :shop]' }), {}, log)
    expect(said).toContain(`Warning: the process ${type} of the Procfile starts ${tool}, which is not in the image`)
    expect(said).toContain('bin/shop eval')
  })

  it.each<[Tree, Env, boolean]>([
    [{}, {}, true],
    [{ Procfile: 'release: bin/migrate\n' }, {}, true],
    [{ Procfile: 'web: bin/shop start\n' }, {}, false],
    [{}, { GOOGLE_ENTRYPOINT: 'bin/shop start' }, false],
  ])('beside %j and %j is the release’s own: %s', async (tree, env, expected) => {
    const types = (await ownProcesses(await appOf(tree), env, { ...release, scripts: [] }, false)).map(
      ({ type }) => type,
    )
    expect(types).toEqual([...(expected ? ['web'] : []), 'console', 'eval', 'remote'])
  })

  it('has the processes of the release and of its overlays', () => {
    const commands = (scripts: string[], secret = false) =>
      processesOf({ ...release, scripts }, secret).map(({ type, command }) => `${type}: ${command[2]}`)
    expect(commands([])).toEqual([
      'web: exec bin/shop start "$@"',
      'console: exec bin/shop start_iex "$@"',
      'eval: exec bin/shop eval "$@"',
      'remote: exec bin/shop remote "$@"',
    ])
    expect(commands(['migrate', 'server'])).toContain('migrate: exec bin/migrate "$@"')
    expect(commands([], true)[0]).toMatch(
      /^web: \[ -n "\$\{SECRET_KEY_BASE-\}" \] \|\| \{ echo "Error: SECRET_KEY_BASE is not set/,
    )
  })
})
