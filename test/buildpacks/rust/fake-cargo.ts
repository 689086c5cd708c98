import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import type { Command, CommandResult, Runner } from '../../../buildpacks/sdk/command.ts'
import { FakeDebian } from '../python/fake-debian.ts'

/** A crate of the registry. */
interface FakeCrate {
  readonly name: string
  readonly version: string
  readonly rustVersion?: string
  readonly features?: readonly string[]
}

/** Debian's and rustup's Rust, a registry and Cargo, which compiles to a note of its inputs. */
export class FakeCargo {
  /** What was run, as people write it: `cargo build --locked`. */
  readonly commands: string[] = []
  /** Crates that the application depends on. */
  crates: FakeCrate[] = [{ name: 'itoa', version: '1.0.15' }]
  /** Programs that a crate has beside its main one, by the crate's name: those with features that are off. */
  optional: Record<string, string> = {}
  /** The newest Rust that rustup has; undefined if it cannot be reached. */
  rustup: string | undefined = '1.95.0'
  /** What the next `cargo build` has to say before it fails. */
  buildError = ''
  /** What a build script does. */
  atBuild = (): Promise<void> => Promise.resolve()
  readonly debian = new FakeDebian()

  constructor() {
    this.debian.packages = {
      rustc: { version: '1.85.1+dfsg1-1+deb13u1', depends: ['libstd-rust-dev'], files: { 'usr/bin/rustc': 'ELF' } },
      'libstd-rust-dev': { version: '1.85.1+dfsg1-1+deb13u1', files: { 'usr/lib/rustlib/std.rlib': '' } },
      cargo: { version: '1.85.1+dfsg1-1+deb13u1', depends: ['rustc'], files: { 'usr/bin/cargo': 'ELF' } },
      rustup: { version: '1.27.1-3', files: { 'usr/bin/rustup': 'ELF' } },
      'libpq-dev': { version: '17', depends: ['libpq5'], files: { 'usr/include/postgresql/libpq-fe.h': '' } },
      libpq5: { version: '17', files: { 'usr/lib/x86_64-linux-gnu/libpq.so.5': 'ELF' } },
    }
  }

  readonly runner: Runner = async (command, onLine) => {
    const [program, ...args] = command.argv
    if (program.endsWith('/cargo')) return this.#cargo(args, command)
    if (program.endsWith('/rustup')) return this.#rustup(args, command)
    if (program.endsWith('/rustc')) return done(`rustc ${this.rustup} (abc 2026-01-01)\n`)
    if (program === 'ldd') return done(this.linked)
    if (program === 'dpkg-query' && args[0] === '--show') return done('libc6 installed\n')
    if (program === 'dpkg-query' && args[0] === '--search') return done('libc6:amd64: /lib/libc.so.6\n')
    if (program === 'dpkg-deb' && args[0] === '--contents') {
      const name = JSON.parse(await readFile(args[1] ?? '', 'utf8')) as string
      return done(
        Object.keys(this.debian.packages[name]?.files ?? {})
          .map(path => `-rw-r--r-- root/root 1 ./${path}\n`)
          .join(''),
      )
    }
    return this.debian.runner(command, onLine)
  }

  /** What `ldd` says of programs. */
  linked = '\tlibc.so.6 => /lib/libc.so.6 (0x1)\n'

  /** Whether the release server has newer ones than those that are installed. */
  moved = false

  async #rustup([verb, , channel = '', ...rest]: readonly string[], { env }: Command): Promise<CommandResult> {
    if (verb === 'check') {
      if (this.rustup === undefined) return failed('could not download file')
      const [name = ''] = await readdir(join(env['RUSTUP_HOME'] ?? '', 'toolchains'))
      return done(`${name} - ${this.moved ? 'Update available : 1.90.0 -> 1.90.1' : 'Up to date : 1.90.0'}\n`)
    }
    this.commands.push(['rustup toolchain install', channel, ...rest].join(' '))
    if (this.rustup === undefined) return failed('could not download file')
    const bin = join(env['RUSTUP_HOME'] ?? '', `toolchains/${channel}-x86_64-unknown-linux-gnu/bin`)
    await mkdir(bin, { recursive: true })
    await writeFile(join(bin, 'cargo'), 'ELF')
    return done()
  }

  async #cargo([verb = '', ...args]: readonly string[], command: Command): Promise<CommandResult> {
    const { env } = command
    this.commands.push(['cargo', verb, ...args].join(' '))
    const cache = join(env['CARGO_HOME'] ?? '', 'registry/cache/mirror-0123')
    for (const { name, version } of this.crates)
      await put(join(cache, `${name}-${version}.crate`), `archive of ${name}`)
    for (const path of ['registry/src/mirror-0123/itoa/lib.rs', '.global-cache'])
      await put(join(env['CARGO_HOME'] ?? '', path), '')
    if (verb === 'metadata') return done(JSON.stringify(await this.#metadata(command)))
    const named = args.flatMap((word, i) =>
      word.startsWith('--target=') ? [word.slice('--target='.length)] : args[i - 1] === '--target' ? [word] : [],
    )
    // `cargo clean` ignores the targets of Cargo's configuration.
    const triples = named.length > 0 || verb === 'clean' ? named : await configuredTargets(command)
    const dirs = (triples.length > 0 ? triples : ['']).map(triple => ({
      triple,
      dir: join(env['CARGO_TARGET_DIR'] ?? '', posix.basename(triple, '.json'), 'release'),
    }))
    if (verb === 'clean') {
      for (const { dir } of dirs) {
        for (const name of await readdir(dir).catch(() => [])) if (name !== 'deps') await rm(join(dir, name))
      }
      return done()
    }
    if (this.buildError !== '') return failed(this.buildError)
    await this.atBuild()
    const { packages } = await this.#metadata(command)
    for (const { triple, dir } of dirs) {
      for (const { name, targets } of packages.filter(({ source, name }) => source === null && args.includes(name))) {
        for (const bin of targets.filter(({ kind }) => kind.includes('bin'))) {
          if (this.optional[name] === bin.name) continue
          // Source files have fixed times, so a program that is there counts as current.
          if (await exists(join(dir, bin.name))) continue
          const note = { args, triple, text: await readFile(bin.src_path, 'utf8'), CPATH: env['CPATH'] }
          const header = triple.startsWith('aarch64-') ? elfOfArm64 : ''
          await put(join(dir, bin.name), header + JSON.stringify(note))
        }
      }
      await put(join(dir, 'deps/libitoa.rlib'), '')
    }
    return done()
  }

  /** As Cargo has it, of every Cargo.toml with a package, whose other programs are in src/bin. */
  async #metadata({ cwd, argv }: Command) {
    const files = (await readdir(cwd, { recursive: true }))
      .filter(path => posix.basename(path) === 'Cargo.toml')
      .toSorted()
    const own = []
    for (const path of files) {
      const text = await readFile(join(cwd, path), 'utf8')
      const name = /^name = "(.*)"/m.exec(text)?.[1]
      if (name === undefined) continue
      const dir = join(cwd, dirname(path))
      const bins = [
        ...((await exists(join(dir, 'src/main.rs'))) ? [{ name, src_path: join(dir, 'src/main.rs') }] : []),
        ...(await readdir(join(dir, 'src/bin')).catch(() => [])).map(file => ({
          name: file.replace('.rs', ''),
          src_path: join(dir, 'src/bin', file),
        })),
      ]
      const targets = bins.map(bin => ({
        ...bin,
        kind: ['bin'],
        'required-features': this.optional[name] === bin.name ? ['x'] : [],
      }))
      own.push({ id: name, name, version: '0.1.0', source: null, manifest_path: join(cwd, path), targets })
    }
    const registry = this.crates.map(({ name, version, rustVersion }) => {
      return {
        id: `${name}@${version}`,
        name,
        version,
        source: 'registry',
        license: 'MIT',
        manifest_path: '/x',
        targets: [],
        rust_version: rustVersion ?? null,
      }
    })
    // Cargo lists crates that no crate in use depends on.
    const unused = {
      id: 'unused',
      name: 'unused',
      version: '9.0.0',
      source: 'registry',
      manifest_path: '/x',
      targets: [],
      rust_version: '1.999',
    }
    const features = argv.includes('--all-features') ? ['bundled'] : []
    const nodes = [...own, ...registry].map(({ id, name }) => ({
      id,
      features: this.crates.find(c => c.name === name)?.features ?? features,
    }))
    return { packages: [...own, ...registry, unused], workspace_members: own.map(({ id }) => id), resolve: { nodes } }
  }
}

/** The start of a program for arm64 (ELF gABI): e_machine is at the offset 18. */
const elfOfArm64 = `\x7fELF${'\0'.repeat(14)}\xb7\0`

/** The targets of CARGO_BUILD_TARGET, else of Cargo's file. */
async function configuredTargets({ cwd, env }: Command): Promise<string[]> {
  if (env['CARGO_BUILD_TARGET'] !== undefined) return [env['CARGO_BUILD_TARGET']]
  const text = await readFile(join(cwd, '.cargo/config.toml'), 'utf8').catch(() => '')
  const value = /^target = (.*)$/m.exec(text)?.[1]
  return value === undefined ? [] : [JSON.parse(value) as string | string[]].flat()
}

/** The SHA-256 of a crate's archive. */
export function checksumOf(name: string): string {
  return createHash('sha256').update(`archive of ${name}`).digest('hex')
}

async function put(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  // Latin-1 keeps the bytes of a header as they are.
  await writeFile(path, content, 'latin1')
}

async function exists(path: string): Promise<boolean> {
  return readFile(path).then(
    () => true,
    () => false,
  )
}

const done = (stdout = ''): CommandResult => ({ exitCode: 0, stdout, stderr: '' })
const failed = (stderr: string): CommandResult => ({ exitCode: 101, stdout: '', stderr: `error: ${stderr}\n` })
