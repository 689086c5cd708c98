import { mkdir, readdir, readlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { rust } from '../../../buildpacks/rust/rust.ts'
import type { Tree } from '../../../buildpacks/sdk/testing.ts'
import { openProject } from '../sdk/project.ts'
import { checksumOf, FakeCargo } from './fake-cargo.ts'

const dir = join(import.meta.dirname, '../../../buildpacks/rust')

async function rustProject(app: Tree, env: Record<string, string> = {}) {
  const fake = new FakeCargo()
  const project = await openProject({ buildpack: rust, dir, app, env, runner: fake.runner })
  return { fake, project }
}

const manifest = (name: string, more = '') => `[package]\nname = "${name}"\nversion = "0.1.0"\n${more}`
const lock = (...names: string[]) => {
  const crates = names.map(
    name =>
      `[[package]]\nname = "${name}"\nversion = "1.0.15"\nsource = "registry+mirror"\nchecksum = "${checksumOf(name)}"\n`,
  )
  return `version = 4\n\n${crates.join('\n')}`
}
const shop: Tree = { 'Cargo.toml': manifest('shop'), 'Cargo.lock': lock('itoa'), 'src/main.rs': 'fn main() {}\n' }

interface Process {
  readonly type: string
  readonly command: string[]
}
const typesOf = (launch: unknown) =>
  (launch as { processes: Process[] }).processes.map(
    ({ type, command }) => `${type}=${command[0]?.replace(/.*\//, '')}`,
  )

describe('detect', () => {
  it('passes with a Cargo.toml', async () => {
    const { project } = await rustProject(shop)
    expect(await project.detect()).toMatchObject({ exitCode: 0, plan: { provides: [{ name: 'rust' }] } })
  })

  it('leaves an application in another language alone', async () => {
    const { project } = await rustProject({
      'Cargo.toml': manifest('ext'),
      'src/lib.rs': '',
      'manage.py': '',
      'requirements.txt': '',
    })
    expect((await project.detect()).exitCode).toBe(100)
  })
})

describe('the toolchain', () => {
  const outputOf = async (app: Tree, env: Record<string, string> = {}, crates?: FakeCargo['crates']) => {
    const { fake, project } = await rustProject({ ...shop, ...app }, env)
    if (crates) fake.crates = crates
    return (await project.build()).output
  }
  const chosen = async (app: Tree, env: Record<string, string> = {}) => {
    const output = await outputOf(app, env)
    return /^ {2}(Rust \d.*)$/m.exec(output)?.[1] ?? output
  }

  it.each<[string, Tree, string]>([
    ['nothing', {}, 'Rust 1.85.1: the version of the stack, as nothing requests another'],
    [
      'stable',
      { 'rust-toolchain.toml': '[toolchain]\nchannel = "stable"\n' },
      'Rust 1.85.1: rust-toolchain.toml toolchain.channel asks for stable',
    ],
    ['the line that Debian has', { 'rust-toolchain': '1.85.0\n' }, 'Rust 1.85.1: rust-toolchain asks for 1.85.0'],
    [
      'another line',
      { 'rust-toolchain.toml': '[toolchain]\nchannel = "1.90.0"\n' },
      'Rust 1.95.0: rust-toolchain.toml toolchain.channel asks for 1.90.0',
    ],
    ['nightly', { 'rust-toolchain': 'nightly-2026-01-02' }, 'Rust 1.95.0: rust-toolchain asks for nightly-2026-01-02'],
    [
      'another target',
      { 'rust-toolchain.toml': '[toolchain]\nchannel = "stable"\ntargets = ["wasm32-unknown-unknown"]\n' },
      'Rust 1.95.0: rust-toolchain.toml toolchain.channel asks for stable',
    ],
    [
      'another target without a channel',
      { 'rust-toolchain.toml': '[toolchain]\ntargets = ["x86_64-unknown-linux-musl"]\n' },
      'Rust 1.95.0: rust-toolchain.toml toolchain.targets asks for stable',
    ],
    [
      'only components',
      { 'rust-toolchain.toml': '[toolchain]\ncomponents = ["clippy"]\n' },
      'Rust 1.85.1: the version of the stack, as nothing requests another',
    ],
    [
      'the target of Cargo',
      { '.cargo/config.toml': '[build]\ntarget = "x86_64-unknown-linux-musl"\n' },
      'Rust 1.95.0: .cargo/config.toml build.target asks for stable',
    ],
    [
      "the target of Cargo, with the version of Debian's",
      { '.cargo/config.toml': '[build]\ntarget = ["x86_64-unknown-linux-musl"]\n', 'rust-toolchain': '1.85' },
      'Rust 1.95.0: rust-toolchain asks for 1.85',
    ],
    [
      "Debian's own target",
      { '.cargo/config.toml': '[build]\ntarget = "x86_64-unknown-linux-gnu"\n' },
      'Rust 1.85.1: the version of the stack, as nothing requests another',
    ],
    ['.tool-versions', { '.tool-versions': 'rust 1.85.1\n' }, 'Rust 1.85.1: .tool-versions asks for 1.85.1'],
    ['mise.toml', { 'mise.toml': '[tools]\nrust = "1.85"\n' }, 'Rust 1.85.1: mise.toml asks for 1.85'],
    ['mise.toml', { 'mise.toml': '[tools]\nrust = "latest"\n' }, 'Rust 1.85.1: mise.toml asks for stable'],
    [
      'an older rust-version',
      { 'Cargo.toml': manifest('shop', 'rust-version = "1.70"\n') },
      'Rust 1.85.1: the version of the stack, as nothing requests another',
    ],
    [
      'a newer rust-version',
      { 'Cargo.toml': manifest('shop', 'rust-version = "1.90"\n') },
      'Rust 1.95.0: Cargo.toml rust-version 1.90 asks for stable',
    ],
  ])('is chosen for %s', async (_name, app, expected) => expect(await chosen(app)).toBe(expected))

  it.each(['BP_RUST_TOOLCHAIN', 'BP_RUST_VERSION', 'RAILPACK_RUST_VERSION'])(
    'comes from %s before files',
    async name => {
      expect(await chosen({ 'rust-toolchain': 'nightly' }, { [name]: '1.85' })).toBe(
        `Rust 1.85.1: ${name} asks for 1.85`,
      )
    },
  )

  it('comes from the first place that names one, with a warning of contradictions', async () => {
    const files = {
      'rust-toolchain': '1.85\n',
      '.tool-versions': 'rust 1.84.0\n',
      'mise.toml': '[tools]\nrust = "1.85"\n',
    }
    const { project } = await rustProject({ ...shop, ...files })
    const { output, exitCode } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(output).toContain('Warning: rust-toolchain asks for 1.85, but .tool-versions for 1.84.0')
    expect(output).not.toContain('but mise.toml')
  })

  it('comes from rustup without targets that a specification file describes', async () => {
    const file = 'x86_64-acme-linux-musl.json'
    const app = { [file]: '{}', '.cargo/config.toml': `[build]\ntarget = "${file}"\n`, 'rust-toolchain': 'nightly' }
    const { fake, project } = await rustProject({ ...shop, ...app })
    const { exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(fake.commands[0]).toBe('rustup toolchain install nightly --profile minimal --no-self-update')
  })

  it('comes from rustup if a crate needs a newer one', async () => {
    const output = await outputOf({}, {}, [
      { name: 'itoa', version: '1.0.15', rustVersion: '1.86' },
      { name: 'new', version: '2.0.0', rustVersion: '1.90.1' },
    ])
    expect(output).toContain("the crate new 2.0.0 needs Rust 1.90.1, so it is rustup's")
    expect(output).toContain('Rust 1.95.0: the crate new 2.0.0 asks for stable')
  })

  it.each<[string, Tree, FakeCargo['crates'], RegExp]>([
    [
      'a pin that is too old for a crate',
      { 'rust-toolchain': '1.85' },
      [{ name: 'new', version: '2.0.0', rustVersion: '1.90' }],
      /Error: rust-toolchain: the crate new 2\.0\.0 needs Rust 1\.90, and 1\.85 is asked for/,
    ],
    [
      'a pin that is too old for the application',
      { 'rust-toolchain': '1.85', 'Cargo.toml': manifest('shop', 'rust-version = "1.90"\n') },
      [],
      /Error: rust-toolchain: Cargo\.toml rust-version needs Rust 1\.90, and 1\.85 is asked for/,
    ],
    [
      'no toolchain',
      { 'rust-toolchain': 'banana split' },
      [],
      /Error: rust-toolchain: "banana split" is not a toolchain of Rust/,
    ],
    [
      'a toolchain from a path',
      { 'rust-toolchain.toml': '[toolchain]\npath = "/opt/rust"\n' },
      [],
      /Error: rust-toolchain\.toml toolchain\.path: a toolchain from a path/,
    ],
  ])('is an error for %s', async (_name, app, crates, message) =>
    expect(await outputOf(app, {}, crates)).toMatch(message),
  )

  it('C21 is reused while its channel has not moved, and created again after that', async () => {
    const { fake, project } = await rustProject({ ...shop, 'rust-toolchain': '1.90' })
    await project.build()
    await project.nextBuild()
    expect((await project.build()).output).toContain('Using Rust 1.90 from rustup from the cache')
    await project.nextBuild()
    fake.moved = true
    expect((await project.build()).output).toContain('Creating Rust 1.90 from rustup (1.90.0 -> 1.90.1)')
    await project.nextBuild()
    fake.rustup = undefined
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toContain('Creating Rust 1.90 from rustup (rustup cannot check for a newer 1.90)')
  })

  it('is an error with a fix if rustup cannot be reached', async () => {
    const { fake, project } = await rustProject({ ...shop, 'rust-toolchain': '1.90' })
    fake.rustup = undefined
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toMatch(
      /Error: rust-toolchain: rustup cannot install Rust 1\.90:\nerror: could not download file\n {2}check the version, the network and RUSTUP_DIST_SERVER or BP_DEPENDENCY_MIRROR/,
    )
  })
})

describe('programs', () => {
  const workspace: Tree = {
    'Cargo.toml': '[workspace]\nmembers = ["crates/*"]\n',
    'Cargo.lock': lock('itoa'),
    'crates/api/Cargo.toml': manifest('api'),
    'crates/api/src/main.rs': '',
    'crates/worker/Cargo.toml': manifest('worker'),
    'crates/worker/src/main.rs': '',
    'crates/shared/Cargo.toml': manifest('shared'),
    'crates/shared/src/lib.rs': '',
    'xtask/Cargo.toml': manifest('xtask'),
    'xtask/src/main.rs': '',
  }
  it.each<[string, Tree, Record<string, string>, string[]]>([
    ['the main one', shop, {}, ['web=shop', 'shop=shop']],
    ['all of src/bin', { ...shop, 'src/bin/seed.rs': '' }, {}, ['web=shop', 'shop=shop', 'seed=seed']],
    ['those of all members but xtask', workspace, {}, ['web=api', 'api=api', 'worker=worker']],
    [
      'those of the default members',
      { ...workspace, 'Cargo.toml': '[workspace]\nmembers = ["crates/*"]\ndefault-members = ["crates/worker"]\n' },
      {},
      ['web=worker', 'worker=worker'],
    ],
    [
      'BP_CARGO_WORKSPACE_MEMBERS',
      workspace,
      { BP_CARGO_WORKSPACE_MEMBERS: 'worker, crates/api' },
      ['web=worker', 'worker=worker', 'api=api'],
    ],
  ])('are processes: %s', async (_name, app, env, expected) => {
    const { project } = await rustProject(app, env)
    const { launch, output, exitCode } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(typesOf(launch)).toEqual(expected)
  })

  it('leave out those whose features are off', async () => {
    const { fake, project } = await rustProject({ ...shop, 'src/bin/gui.rs': '' })
    fake.optional = { shop: 'gui' }
    expect(typesOf((await project.build()).launch)).toEqual(['web=shop', 'shop=shop'])
  })

  it.each<[string, Tree, Record<string, string>, RegExp]>([
    ['a library', { 'Cargo.toml': manifest('lib'), 'src/lib.rs': '' }, {}, /Error: Cargo\.toml: there is no program/],
    [
      'a member that is none',
      workspace,
      { BP_CARGO_WORKSPACE_MEMBERS: 'wroker' },
      /Error: BP_CARGO_WORKSPACE_MEMBERS: "wroker" is not a member.*\n {2}there are api, shared, worker, xtask/,
    ],
  ])('are an error: %s', async (_name, app, env, message) => {
    const { project } = await rustProject(app, env)
    expect((await project.build()).output).toMatch(message)
  })

  it('are linked where Procfiles look for them', async () => {
    const { project } = await rustProject({ ...shop, Procfile: 'web: ./target/release/shop' })
    await project.build()
    expect(await readlink(join(project.appDir, 'target/release/shop'))).toBe(
      join(project.layersDir, 'programs/bin/shop'),
    )
  })

  it('have a bill of materials with their crates, and an image without sources', async () => {
    const { project } = await rustProject({
      ...shop,
      'static/a.css': '',
      'templates/b.html': '',
      'tests/c.rs': '',
      'README.md': '',
    })
    await project.build()
    const { components } = JSON.parse(await project.read('layers/programs.sbom.cdx.json')) as {
      components: { purl: string }[]
    }
    expect(components.map(({ purl }) => purl)).toEqual(['pkg:cargo/itoa@1.0.15'])
    expect((await readdir(project.appDir)).toSorted()).toEqual(['static', 'templates'])
  })
})

describe('cargo build', () => {
  it('warns of an address that only the container itself reaches', async () => {
    const { project } = await rustProject({ ...shop, 'src/main.rs': 'TcpListener::bind("127.0.0.1:3000")\n' })
    const { output } = await project.build()
    expect(output).toContain('Warning: src/main.rs:1 always listens on port 3000 and ignores PORT')
    expect(output).toContain('Warning: src/main.rs:1 listens only on localhost')
  })

  it('lets Rocket listen on $PORT of all addresses', async () => {
    const { fake, project } = await rustProject(shop)
    fake.crates = [{ name: 'rocket', version: '0.5.1' }]
    const { exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(await project.read('layers/rocket/exec.d/rocket')).toContain('ROCKET_PORT')
    expect(await project.read('layers/rocket/env.launch/ROCKET_ADDRESS.default')).toBe('0.0.0.0')
  })

  it.each<[string, Tree, string]>([
    ['Trunk', { 'Trunk.toml': '' }, 'trunk build --release'],
    ['Trunk without a configuration', { 'index.html': '' }, 'trunk build --release'],
    ['Dioxus', { 'Dioxus.toml': '' }, 'dx bundle --platform web'],
    [
      'cargo-leptos',
      { 'Cargo.toml': manifest('shop', '[package.metadata.leptos]\noutput-name = "shop"\n') },
      'BP_CARGO_INSTALL_ARGS="--no-default-features --features ssr"',
    ],
  ])('refuses pages for browsers, and names the tool: %s', async (_name, app, fix) => {
    const { fake, project } = await rustProject({ ...shop, ...app })
    fake.crates = [{ name: 'yew', version: '0.21.0' }]
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toContain(fix)
  })

  it('builds the server of pages if a setting names its features', async () => {
    const { project } = await rustProject({ ...shop, 'Trunk.toml': '' }, { BP_CARGO_INSTALL_ARGS: '--features ssr' })
    expect((await project.build()).exitCode).toBe(0)
  })

  const built = async (app: Tree = {}, env: Record<string, string> = {}) => {
    const { fake, project } = await rustProject({ ...shop, ...app }, env)
    await project.build()
    return fake.commands.find(command => command.startsWith('cargo build'))
  }

  it.each<[string, string]>([
    ['', 'cargo build --locked --profile release --package shop --bins'],
    [
      '--locked --path=./app --root /x --features a,b',
      'cargo build --locked --profile release --features a,b --package shop --bins',
    ],
    [
      '--no-default-features --bin shop -j 2',
      'cargo build --locked --profile release --no-default-features --bin shop -j 2 --package shop',
    ],
  ])('takes BP_CARGO_INSTALL_ARGS %j', async (args, expected) => {
    expect(await built({}, { BP_CARGO_INSTALL_ARGS: args })).toBe(expected)
  })

  it('takes the program of the first target that runs in the image', async () => {
    const targets = ['aarch64-unknown-linux-musl', 'x86_64-unknown-linux-musl', 'x86_64-unknown-linux-gnu']
    const flags = targets.map(target => `--target=${target}`).join(' ')
    const { project } = await rustProject(shop, { BP_CARGO_INSTALL_ARGS: flags })
    const { exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(await project.read('layers/programs/bin/shop')).toContain(`"triple":"${targets[1]}"`)
  })

  it('refuses a program of another architecture', async () => {
    const { project } = await rustProject(shop, { CARGO_BUILD_TARGET: 'aarch64-unknown-linux-musl' })
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toContain(
      'Error: CARGO_BUILD_TARGET: cargo build made aarch64-unknown-linux-musl/release/shop, which does not run on amd64',
    )
  })

  it.each([
    [
      'the lock file /workspace/Cargo.lock needs to be updated but --locked was passed',
      'run "cargo update --workspace"',
    ],
    ['could not find system library', 'a C library is missing'],
  ])('says what to do about %s', async (said, fix) => {
    const { fake, project } = await rustProject(shop)
    fake.buildError = said
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toContain('Error: cargo build failed with exit status 101')
    expect(output).toContain(fix)
  })

  it('has the headers that crates need, and the image their libraries', async () => {
    const { fake, project } = await rustProject(shop)
    fake.crates = [{ name: 'pq-sys', version: '0.6.0' }]
    fake.linked += '\tlibpq.so.5 => /layers/native/libpq.so.5 (0x1)\n'
    const { output, layers } = await project.build()
    expect(output).toContain('Creating the Debian packages libpq-dev')
    expect(output).toContain('Creating the libraries libpq5')
    expect(layers['native']?.types.launch).toBe(false)
    const note = JSON.parse(await project.read('layers/programs/bin/shop')) as { CPATH: string }
    expect(note.CPATH).toContain(join(project.layersDir, 'native/usr/include'))
  })

  it('needs no headers for crates that bring their own library', async () => {
    const { fake, project } = await rustProject(shop)
    fake.crates = [{ name: 'pq-sys', version: '0.6.0', features: ['bundled'] }]
    expect((await project.build()).output).not.toContain('libpq')
  })
})

describe('caches', () => {
  it('hold the compiled crates of the registry, and nothing of the application', async () => {
    const { project } = await rustProject(shop)
    await project.build()
    expect((await readdir(join(project.layersDir, 'target'), { recursive: true })).toSorted()).toEqual([
      'release',
      'release/deps',
      'release/deps/libitoa.rlib',
    ])
    expect((await readdir(join(project.layersDir, 'cargo'), { recursive: true })).toSorted()).toEqual([
      'registry',
      'registry/cache',
      'registry/cache/mirror-0123',
      'registry/cache/mirror-0123/itoa-1.0.15.crate',
    ])
  })

  it('are the same for a change to the source', async () => {
    const { project } = await rustProject(shop)
    const first = await project.build()
    await project.nextBuild({ 'src/main.rs': 'fn main() { changed() }\n' })
    const second = await project.build()
    for (const name of ['cargo', 'rust', 'target']) expect(second.layers[name]).toEqual(first.layers[name])
    expect(second.output).toContain('Using compiled crates from the cache')
    expect(await project.read('layers/programs/bin/shop')).toContain('changed')
  })

  const musl = 'x86_64-unknown-linux-musl'
  const gnu = 'x86_64-unknown-linux-gnu'
  it.each<[string, Tree, Record<string, string>]>([
    ['--target of gnu', {}, { BP_CARGO_INSTALL_ARGS: `--target ${gnu}` }],
    ['--target= of musl', {}, { BP_CARGO_INSTALL_ARGS: `--target=${musl}` }],
    ['CARGO_BUILD_TARGET', {}, { CARGO_BUILD_TARGET: gnu }],
    [".cargo/config.toml's target", { '.cargo/config.toml': `[build]\ntarget = "${gnu}"\n` }, {}],
    [".cargo/config.toml's targets", { '.cargo/config.toml': `[build]\ntarget = ["${musl}", "${gnu}"]\n` }, {}],
    ['a specification file', { 'acme.json': '{}', '.cargo/config.toml': '[build]\ntarget = "acme.json"\n' }, {}],
  ])('hold nothing of the application that is compiled for %s', async (_name, app, env) => {
    const { project } = await rustProject({ ...shop, ...app }, env)
    await project.build()
    const files = await readdir(join(project.layersDir, 'target'), { recursive: true })
    expect(files).not.toContainEqual(expect.stringMatching(/shop$/))
    expect(files).toContainEqual(expect.stringMatching(/release\/deps\/libitoa\.rlib$/))
    await project.nextBuild({ 'src/main.rs': 'fn main() { changed() }\n' })
    expect((await project.build()).exitCode).toBe(0)
    expect(await project.read('layers/programs/bin/shop')).toContain('changed')
  })

  it('hold nothing of targets that only a command of the user names', async () => {
    const { fake, project } = await rustProject(shop)
    // Stands for a command whose target Bale cannot know.
    fake.atBuild = async () => {
      await mkdir(join(project.layersDir, 'target', musl, 'release'), { recursive: true })
      await writeFile(join(project.layersDir, 'target', musl, 'release/shop'), 'stale')
    }
    await project.build()
    expect(await readdir(join(project.layersDir, 'target'))).toEqual(['release'])
  })

  it('are created again for another build command', async () => {
    const { project } = await rustProject(shop)
    await project.build()
    await project.nextBuild()
    project.setEnv({ RAILPACK_BUILD_CMD: 'make' })
    expect((await project.build()).output).toContain('Creating compiled crates (RAILPACK_BUILD_CMD is new)')
  })

  it('X40: keep only those archives of an earlier build that Cargo.lock knows', async () => {
    const { project } = await rustProject(shop)
    await project.build()
    await project.nextBuild()
    const home = join(project.layersDir, 'cargo')
    const planted = [
      'config.toml',
      'bin/cargo',
      'registry/src/mirror-0123/itoa/build.rs',
      'registry/cache/mirror-0123/other-1.0.0.crate',
    ]
    for (const path of planted) {
      await mkdir(join(home, path, '..'), { recursive: true })
      await writeFile(join(home, path), 'planted')
    }
    await writeFile(join(home, 'registry/cache/mirror-0123/itoa-1.0.15.crate'), 'planted')
    await project.build()
    const files = (await readdir(home, { recursive: true, withFileTypes: true })).filter(entry => entry.isFile())
    expect(files.map(({ name }) => name)).toEqual(['itoa-1.0.15.crate'])
    expect(await project.read('layers/cargo/registry/cache/mirror-0123/itoa-1.0.15.crate')).toBe('archive of itoa')
  })

  it('X40: keep no toolchain that a build script has changed', async () => {
    const { fake, project } = await rustProject(shop)
    fake.atBuild = () => writeFile(join(project.layersDir, 'rust/usr/bin/rustc'), 'planted')
    const { output } = await project.build()
    expect(output).toContain('Warning: the layer rust was changed after it was finished, at usr/bin/rustc')
    fake.atBuild = () => Promise.resolve()
    await project.nextBuild()
    await project.build()
    expect(await project.read('layers/rust/usr/bin/rustc')).toBe('ELF')
  })

  it('X40: are created again for another Cargo.lock, as build scripts may have written there', async () => {
    const { project } = await rustProject(shop)
    await project.build()
    await writeFile(join(project.layersDir, 'target/planted'), '')
    await project.nextBuild({ 'Cargo.lock': lock('itoa', 'ryu') })
    const { output } = await project.build()
    expect(output).toContain('Creating compiled crates (Cargo.lock changed)')
    expect(await readdir(join(project.layersDir, 'target'))).toEqual(['release'])
  })
})
