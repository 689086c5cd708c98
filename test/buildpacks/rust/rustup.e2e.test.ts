import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { bale } from '../../helpers/bale.ts'

const triple = process.arch === 'arm64' ? 'aarch64-unknown-linux-gnu' : 'x86_64-unknown-linux-gnu'
const version = '1.90.0'

/** A Cargo in shell: its programs print which Rust they are from. */
const cargo = `#!/bin/sh
case $1 in
metadata) cat <<END
{"packages":[{"id":"a","name":"shop","version":"0.1.0","source":null,"manifest_path":"$PWD/Cargo.toml","targets":[{"kind":["bin"],"name":"shop","src_path":"$PWD/src/main.rs"}]}],"workspace_members":["a"],"resolve":{"nodes":[{"id":"a","features":[]}]}}
END
;;
build) mkdir -p "$CARGO_TARGET_DIR/release"
printf '#!/bin/sh\\necho compiled by Rust ${version}\\n' > "$CARGO_TARGET_DIR/release/shop"
chmod +x "$CARGO_TARGET_DIR/release/shop" ;;
esac
`

/** A component of a toolchain as Rust's own archives are: rustup unpacks it by its manifest. */
function archiveOf(
  root: string,
  name: string,
  component: string,
  files: Record<string, string>,
): { path: string; hash: string } {
  const top = `${name}-${version}-${triple}`
  const put = (path: string, content: string) => {
    const file = join(root, top, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, content)
    if (content.startsWith('#!')) chmodSync(file, 0o755)
  }
  put('rust-installer-version', '3\n')
  put('components', `${component}\n`)
  put(
    `${component}/manifest.in`,
    Object.keys(files)
      .map(path => `file:${path}\n`)
      .join(''),
  )
  for (const [path, content] of Object.entries(files)) put(`${component}/${path}`, content)
  const path = join(root, `${top}.tar.gz`)
  execFileSync('tar', ['-czf', path, '-C', root, top])
  return { path, hash: sha256(readFileSync(path)) }
}

const sha256 = (data: string | Uint8Array) => createHash('sha256').update(data).digest('hex')

/** A release server with one channel, as rustup expects it (its "channel manifest", version 2). */
async function serveRelease(channel: string): Promise<{ url: string; requests: string[]; state: { date: string } }> {
  const root = mkdtempSync(join(tmpdir(), 'rust-release-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  const rustc = `#!/bin/sh\necho 'rustc ${version} (0123456 2026-01-01)'\n`
  const archives = {
    rustc: archiveOf(root, 'rustc', 'rustc', { 'bin/rustc': rustc }),
    cargo: archiveOf(root, 'cargo', 'cargo', { 'bin/cargo': cargo }),
    'rust-std': archiveOf(root, 'rust-std', `rust-std-${triple}`, { [`lib/rustlib/${triple}/lib/libstd.rlib`]: '' }),
    rust: archiveOf(root, 'rust', 'rustc', { 'bin/rustc': rustc }),
  }
  const requests: string[] = []
  const state = { date: '2026-01-01' }
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    requests.push(path)
    const manifest = manifestOf(archives, `http://${request.headers.host}`, state.date)
    const file = `/dist/channel-rust-${channel}.toml`
    const archive = Object.values(archives).find(a => path.endsWith(a.path.slice(root.length)))
    if (path === file) response.end(manifest)
    else if (path === `${file}.sha256`) response.end(`${sha256(manifest)}  channel-rust-${channel}.toml\n`)
    else if (archive) response.end(readFileSync(archive.path))
    else response.writeHead(404).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests, state }
}

function manifestOf(archives: Record<string, { path: string; hash: string }>, url: string, date: string): string {
  const packages = Object.entries(archives).map(([name, { path, hash }]) => {
    const file = `${url}/dist/${path.split('/').at(-1)}`
    const parts = ['rustc', 'cargo', 'rust-std'].map(pkg => `{ pkg = "${pkg}", target = "${triple}" }`)
    const components = name === 'rust' ? `components = [${parts.join(', ')}]\n` : ''
    return `[pkg.${name}]\nversion = "${version} (0123456 ${date})"\n[pkg.${name}.target.${triple}]\navailable = true\nurl = "${file}"\nhash = "${hash}"\n${components}`
  })
  const minimal = 'minimal = ["rustc", "cargo", "rust-std"]'
  return `manifest-version = "2"\ndate = "${date}"\n${packages.join('')}[profiles]\n${minimal}\ndefault = ["rustc"]\ncomplete = ["rustc"]\n`
}

/** An application that asks for the channel. */
function appOf(channel: string): string {
  const app = mkdtempSync(join(tmpdir(), 'rust-app-'))
  onTestFinished(() => rmSync(app, { recursive: true }))
  cpSync(join(import.meta.dirname, '../../apps/rust-workspace/Cargo.lock'), join(app, 'Cargo.lock'))
  mkdirSync(join(app, 'src'))
  writeFileSync(join(app, 'Cargo.toml'), '[package]\nname = "shop"\nversion = "0.1.0"\n')
  writeFileSync(join(app, 'src/main.rs'), 'fn main() {}\n')
  writeFileSync(join(app, 'rust-toolchain.toml'), `[toolchain]\nchannel = "${channel}"\n`)
  return app
}

it('a toolchain that Debian does not have comes from rustup, and from the mirror that the user names', async () => {
  const { url, requests } = await serveRelease(version)
  const app = appOf(version)
  const image = 'bale-test-rustup'
  const args = ['build', image, '--path', app, '--env', `BP_DEPENDENCY_MIRROR=${url}`]
  const built = await bale([...args, '--clear-cache'])
  expect(built.code, built.output).toBe(0)
  expect(built.output).toContain(`Rust ${version}: rust-toolchain.toml toolchain.channel asks for ${version}`)
  expect(requests.filter(path => path.endsWith('.tar.gz'))).toHaveLength(3)
  expect((await bale(['run', image])).output).toBe(`compiled by Rust ${version}\n`)
  const closed = await bale([...args, '--network', 'none'])
  expect(closed.code, closed.output).toBe(0)
})

it('C21 a channel that moves is had again until it has moved', async () => {
  const { url, state } = await serveRelease('1.90')
  const app = appOf('1.90')
  const build = async (...args: string[]) =>
    (await bale(['build', 'bale-test-rustup-channel', '--path', app, ...args, '--env', `RUSTUP_DIST_SERVER=${url}`]))
      .output
  expect(await build('--clear-cache')).toContain('Creating Rust 1.90 from rustup (not there yet)')
  expect(await build()).toContain('Using Rust 1.90 from rustup from the cache')
  state.date = '2026-02-02'
  expect(await build()).toMatch(/Creating Rust 1\.90 from rustup \(1\.90\.0 .*2026-02-02/)
})
