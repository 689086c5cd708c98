import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bale, digestIn, serveAndAsk } from './helpers/bale.ts'
import { type HexPackage, type HexServer, serveHex } from './helpers/hex-server.ts'
import { readImageFiles } from './helpers/image-files.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { type Tree, writeTree } from './helpers/tree.ts'

// Hex's own registry is not reachable from everywhere: the real Hex fetches packages of ours from a signed repository on loopback.

let hex: HexServer
const authKey = 's3cr3t-0f-hex'

const words = `defmodule Words.MixProject do
  use Mix.Project
  def project, do: [app: :words, version: "1.2.0", deps: [{:tongue, "~> 2.0", repo: "acme"}]]
  def application, do: [extra_applications: [:logger]]
end
`

beforeAll(async () => {
  const packages: HexPackage[] = [
    {
      name: 'words',
      version: '1.2.0',
      buildTool: 'mix',
      files: {
        'mix.exs': words,
        'lib/words.ex': 'defmodule Words do\n  def greet, do: "#{:tongue.hello()} of Hex"\nend\n',
      },
      requirements: { tongue: '~> 2.0' },
    },
    {
      name: 'tongue',
      version: '2.0.1',
      buildTool: 'rebar3',
      files: {
        'rebar.config': '{deps, []}.\n',
        'src/tongue.app.src': '{application, tongue, [{vsn, "2.0.1"}, {applications, [kernel, stdlib]}]}.\n',
        'src/tongue.erl': '-module(tongue).\n-export([hello/0]).\nhello() -> <<"words">>.\n',
      },
    },
  ]
  hex = await serveHex('acme', packages, authKey)
})

afterAll(() => hex[Symbol.asyncDispose]())

/** Answers each request with what `Web.answer` gives. */
const server = `defmodule Web do
  use Application

  @impl true
  def start(_type, _args), do: Supervisor.start_link([{Task, &listen/0}], strategy: :one_for_one)

  defp listen do
    options = [:binary, packet: :http_bin, active: false, reuseaddr: true]
    {:ok, socket} = :gen_tcp.listen(String.to_integer(System.fetch_env!("PORT")), options)
    accept(socket)
  end

  defp accept(socket) do
    {:ok, client} = :gen_tcp.accept(socket)
    {:ok, _} = :gen_tcp.recv(client, 0)
    body = Answer.body()
    :gen_tcp.send(client, "HTTP/1.1 200 OK\\r\\nContent-Length: #{byte_size(body)}\\r\\nConnection: close\\r\\n\\r\\n#{body}")
    :gen_tcp.close(client)
    accept(socket)
  end
end
`

const project = (more: string, deps: string) => `defmodule Shop.MixProject do
  use Mix.Project

  def project do
    [app: :shop, version: "0.1.0", elixir: "~> 1.15", ${more}deps: [${deps}]]
  end

  def application, do: [extra_applications: [:logger], mod: {Web, []}]
end
`

async function projectOf(tree: Tree): Promise<string> {
  const dir = await temporaryDirectory()
  await writeTree(dir, tree)
  return dir
}

async function built(image: string, dir: string, ...args: string[]) {
  const ended = await bale(['build', image, '--path', dir, ...args])
  expect(ended.code, ended.output).toBe(0)
  return ended
}

describe('dependencies of Hex', () => {
  const image = 'bale-test-elixir-hex'

  it('come with the key of a binding, stay compiled while mix.lock is the same, and give the same bytes again', async () => {
    const file = join(await temporaryDirectory(), 'hex.config')
    await writeFile(file, hex.config)
    const secret = ['--secret', `id=hex,src=${file},type=hex,key=hex.config`]
    const answer = (text: string) => `defmodule Answer do\n  def body, do: "${text} " <> Words.greet()\nend\n`
    const dir = await projectOf({
      'mix.exs': project('', '{:words, "~> 1.0", repo: "acme"}'),
      'mix.lock': hex.lock,
      'lib/web.ex': server,
      'lib/answer.ex': answer('first'),
    })
    const first = await built(image, dir, ...secret)
    expect(first.output).not.toContain(authKey)
    expect(hex.requests.toSorted()).toContain('/tarballs/tongue-2.0.1.tar')
    await writeFile(join(dir, 'lib/answer.ex'), answer('again'))
    hex.requests.length = 0
    // Without the key: nothing is fetched.
    const second = await bale(['build', image, '--path', dir, '--quiet'])
    expect(hex.requests).toEqual([])
    const { body, code } = await serveAndAsk(image)
    expect(body).toBe('again words of Hex')
    // SIGTERM stops the release in order.
    expect(code).toBe(0)
    const anew = await bale(['build', `${image}-anew`, '--path', dir, '--quiet', ...secret])
    expect(digestIn(anew)).toBe(digestIn(second))
    const { paths, layers } = await readImageFiles(image)
    expect(layers.map(({ what }) => what)).toContain('Application Slice: 2')
    expect(paths).toContain('/workspace/lib/words-1.2.0/ebin/Elixir.Words.beam')
    expect(
      paths.filter(path => /\.exs?$|mix|hex|elixirc|erlc\.|\/priv\/src\//.test(path) && !/\/erts-/.test(path)),
    ).toEqual([])
    const bills = await temporaryDirectory()
    await bale(['sbom', 'download', image, '--output-dir', bills])
    const names = (await readdir(bills, { recursive: true })).filter(name => name.endsWith('sbom.cdx.json'))
    const texts = await Promise.all(names.map(name => readFile(join(bills, name), 'utf8')))
    expect(texts.join()).toContain('pkg:hex/tongue@2.0.1')
    expect(texts.join()).toContain('pkg:deb/debian/erlang-base@')

    // A requirement that the lock file does not meet is an error with its way out.
    await writeFile(join(dir, 'mix.exs'), project('', '{:words, "~> 2.0", repo: "acme"}'))
    const refused = await bale(['build', image, '--path', dir, ...secret])
    expect(refused.code).toBe(51)
    expect(refused.output).toContain('correct the requirements in mix.exs')
    // Without the key, Hex cannot fetch anew.
    await rm(join(dir, 'mix.lock'))
    await writeFile(join(dir, 'mix.exs'), project('', '{:words, "~> 1.0", repo: "acme"}'))
    const closed = await bale(['build', image, '--path', dir])
    expect(closed.code).toBe(51)
    expect(closed.output).toContain('--secret id=hex,src=FILE,type=hex,key=hex.config')
  }, 400_000)
})

describe('an umbrella with assets and a secret', () => {
  it('runs assets.deploy, never takes the secret, and says at its start that it needs one', async () => {
    const image = 'bale-test-elixir-umbrella'
    const dir = await projectOf({
      'mix.exs': `defmodule Umbrella.MixProject do
  use Mix.Project

  def project do
    [apps_path: "apps", version: "0.1.0", releases: [shop: [applications: [shop: :permanent]]], deps: []]
  end
end
`,
      'config/config.exs': 'import Config\n',
      'config/runtime.exs':
        'import Config\n\nif config_env() == :prod do\n  config :shop, secret: System.get_env("SECRET_KEY_BASE") || raise("environment variable SECRET_KEY_BASE is missing")\nend\n',
      'apps/shop/mix.exs': project(
        'build_path: "../../_build", config_path: "../../config/config.exs", deps_path: "../../deps", lockfile: "../../mix.lock", aliases: ["assets.deploy": &deploy/1], ',
        '',
      ).replace(
        /end\n$/,
        '  defp deploy(_) do\n    File.mkdir_p!("priv/static")\n    File.write!("priv/static/app.txt", "assets")\n  end\nend\n',
      ),
      'apps/shop/lib/web.ex': server,
      'apps/shop/lib/answer.ex':
        'defmodule Answer do\n  def body, do: "#{File.read!(Application.app_dir(:shop, "priv/static/app.txt"))} #{Application.fetch_env!(:shop, :secret)} #{node()}"\nend\n',
      'rel/overlays/bin/migrate': { script: `exec "$(dirname "$0")/shop" eval 'IO.puts("migrated")'` },
    })
    const { output } = await built(image, dir, '--env', 'SECRET_KEY_BASE=of-the-build')
    expect(output).toContain('SECRET_KEY_BASE is for run time, so the build ignores it')
    expect(output).toContain('Running mix assets.deploy in apps/shop')
    const refused = await bale(['run', image])
    expect(refused.code).toBe(1)
    expect(refused.output).toContain('Error: SECRET_KEY_BASE is not set')
    const secret = ['--env', 'SECRET_KEY_BASE=of-this-run']
    expect((await serveAndAsk(image, '/', secret)).body).toBe('assets of-this-run nonode@nohost')
    expect((await bale(['run', image, '--process', 'migrate', ...secret])).stdout).toContain('migrated')
  }, 300_000)
})

describe('what cannot be built', () => {
  it.each<[string, Tree, RegExp]>([
    [
      'another Elixir',
      { 'mix.exs': project('', '').replace('~> 1.15', '~> 1.99') },
      /mix\.exs:5: asks for Elixir ~> 1\.99, which is not available\n\s+the nearest is 1\.18\.\d+.*write elixir: "~> 1\.18"/,
    ],
    [
      'another Erlang',
      { 'mix.exs': project('', ''), '.tool-versions': 'elixir 1.18.4-otp-25\nerlang 25.3\n' },
      /\.tool-versions: asks for Erlang 25\.3, which is not available\n\s+the nearest is 27\.\d+[.\d]*.*write 27 /,
    ],
  ])(
    '%s is an error with its place',
    async (_what, tree, message) => {
      const { code, output } = await bale(['build', 'bale-test-elixir-refused', '--path', await projectOf(tree)])
      expect(code).toBe(51)
      expect(output).toMatch(message)
    },
    120_000,
  )
})
