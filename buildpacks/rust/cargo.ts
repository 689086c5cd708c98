import { createHash } from 'node:crypto'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuildContext, BuildpackError, digestOf, keep, sshFix } from '../sdk/index.ts'
import type { LockedCrate } from './manifest.ts'
import type { Toolchain } from './toolchain.ts'

/** Runs the application's Cargo. */
export interface Cargo {
  /**
   * The output of `cargo ARGS`.
   * @throws BuildpackError with a fix if it fails
   */
  run(args: readonly string[], options?: CargoOptions): Promise<string>
}

export interface CargoOptions {
  readonly quiet?: boolean
  readonly step?: 'build'
  readonly env?: Readonly<Record<string, string>>
}

export function cargoWith({ env, run }: BuildContext, toolchain: Toolchain, home: string): Cargo {
  const variables = {
    ...toolchain.env,
    PATH: `${toolchain.bin}:${env['PATH']}`,
    CARGO_HOME: home,
    CARGO_INCREMENTAL: '0',
    CARGO_TERM_PROGRESS_WHEN: 'never',
    // git finds its usual credentials and ssh keys.
    CARGO_NET_GIT_FETCH_WITH_CLI: env['CARGO_NET_GIT_FETCH_WITH_CLI'] ?? 'true',
    RUSTUP_TOOLCHAIN: undefined,
  }
  return {
    async run(args, options = {}) {
      const result = await run([join(toolchain.bin, 'cargo'), ...args], {
        env: { ...variables, ...options.env },
        quiet: options.quiet === true,
        ...(options.step && { step: options.step, name: `cargo ${args[0]}` }),
        allowFailure: true,
      })
      if (result.exitCode === 0) return result.stdout
      const said = options.quiet === true ? `:\n${result.stderr.trim()}` : ''
      throw new BuildpackError(`cargo ${args[0]} failed with exit status ${result.exitCode}${said}`, {
        fix: fixOf(result.stderr),
      })
    },
  }
}

/** The fix for failures that are not in the application's code. */
function fixOf(stderr: string): string | undefined {
  const fixes: readonly (readonly [RegExp, string])[] = [
    [
      /lock file .* needs to be updated|cannot update the lock file/,
      'run "cargo update --workspace" and commit Cargo.lock',
    ],
    [/requires rustc (\S+) or newer/, 'ask for this Rust in rust-toolchain.toml, or with BP_RUST_TOOLCHAIN'],
    [
      /checksum for .* changed between lock files|failed to verify the checksum/,
      'the crate differs from the one that Cargo.lock was made with: find out why first',
    ],
    [
      /Could not resolve host|Couldn't resolve|failed to download|spurious network error|Connection refused/i,
      'check the network, and the registries in .cargo/config.toml',
    ],
    [
      /could not find system library|pkg-config .* did not exit successfully|unable to find library -l/,
      'a C library is missing in the build image: use the feature of the crate that brings its own ("bundled", "vendored"), or add the Debian package',
    ],
    [/No space left on device/, 'free some space on the disk that holds the builds'],
  ]
  return sshFix(stderr) ?? fixes.find(([pattern]) => pattern.test(stderr))?.[1]
}

/**
 * Cargo's home, with the archives of crates. Build scripts can write to it, so only these files of an earlier build are trusted:
 * archives with Cargo.lock's checksum, the registries' indexes, and clones that the same Cargo.lock made. Cargo unpacks the crates
 * again.
 */
export async function provideHome(
  { layer }: BuildContext,
  lock: { text: string; crates: readonly LockedCrate[] },
): Promise<string> {
  const digest = digestOf(lock.text)
  let isSameLock = false
  const { path } = await layer('cargo', {
    types: { cache: true },
    key: { 'Cargo.lock': digest },
    restore: existing => {
      isSameLock = existing['Cargo.lock'] === digest
      return keep
    },
    create: async () => {},
  })
  await tidyHome(path, isSameLock)
  await removeUnverified(join(path, 'registry/cache'), lock.crates)
  return path
}

/** Keeps only files that the next build may use. They are the same as long as Cargo.lock is. */
export async function tidyHome(home: string, withClones = true): Promise<void> {
  const keptHere: Readonly<Record<string, readonly string[]>> = {
    '.': ['registry', ...(withClones ? ['git'] : [])],
    registry: ['index', 'cache'],
    git: ['db'],
  }
  for (const [dir, kept] of Object.entries(keptHere)) {
    for (const name of await readdir(join(home, dir)).catch(() => [])) {
      if (!kept.includes(name)) await rm(join(home, dir, name), { recursive: true, force: true })
    }
  }
}

async function removeUnverified(cache: string, crates: readonly LockedCrate[]): Promise<void> {
  const checksums = new Map(crates.map(({ name, version, checksum }) => [`${name}-${version}.crate`, checksum]))
  for (const registry of await readdir(cache, { withFileTypes: true }).catch(() => [])) {
    const dir = join(cache, registry.name)
    const files = registry.isDirectory() ? await readdir(dir, { withFileTypes: true }) : []
    if (!registry.isDirectory()) await rm(dir)
    for (const entry of files) {
      const file = join(dir, entry.name)
      const wanted = checksums.get(entry.name)
      const isIntact = wanted !== undefined && entry.isFile() && sha256(await readFile(file)) === wanted
      if (!isIntact) await rm(file, { recursive: true, force: true })
    }
  }
}

function sha256(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}
