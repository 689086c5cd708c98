import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { chmod, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { bale } from './bale.ts'
import { temporaryDirectory } from './temporary.ts'
import { writeTree } from './tree.ts'

/** Files by their addresses without the scheme: `github.com/…`. */
export type Files = Readonly<Record<string, string | Buffer>>

/**
 * Serves what mise downloads on loopback, with the host as the first folder: the upstream hosts are not reachable from everywhere.
 * @returns the value of BP_DEPENDENCY_MIRROR, and the addresses that were asked for
 */
async function serveMirror(files: Files): Promise<{ mirror: string; requests: string[] }> {
  const requests: string[] = []
  const server = createServer((request, response) => {
    const address = new URL(request.url ?? '/', 'http://localhost').pathname.slice(1)
    requests.push(address)
    const found = files[address]
    if (found === undefined) return void response.writeHead(404).end()
    response.end(found)
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => void server.closeAllConnections())
  onTestFinished(() => void server.close())
  return { mirror: `http://127.0.0.1:${(server.address() as AddressInfo).port}/{originalHost}`, requests }
}

/**
 * Packs what packages of Debian install, as an upstream archive would be.
 * @param script shell commands that fill the directory $1 from the directory $2, the root of the packages
 */
export async function packDebian(name: string, packages: readonly string[], script: string): Promise<Buffer> {
  const source = await temporaryDirectory()
  const out = await temporaryDirectory()
  await chmod(out, 0o777)
  const layer = '/layers/bale_apt/packages'
  await writeTree(source, {
    Procfile: `web: sh pack.sh /tmp/tree ${layer}\n`,
    'pack.sh': `set -e\nmkdir "$1"\n${script}\ntar -czf /out/archive.tar.gz --mtime=@1 --sort=name -C "$1" .\n`,
  })
  const image = `bale-test-pack-${name}`
  for (const args of [
    ['build', image, '--path', source, '--env', `RAILPACK_DEPLOY_APT_PACKAGES=${packages.join(' ')}`],
    ['run', image, '--volume', `${out}:/out:rw`],
  ]) {
    const { code, output } = await bale(args)
    if (code !== 0) throw new Error(output)
  }
  return readFile(join(out, 'archive.tar.gz'))
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

/**
 * Builds an application from a mirror whose archive does not have its published digest, which has to fail, and then from a right one.
 * @param filesFor the files of the mirror, with the published digest of the archive
 * @param run builds with a mirror and more options
 * @returns the right mirror, the addresses that were asked for, and what the second build printed
 */
export async function buildThroughMirrors(
  archive: Buffer,
  filesFor: (archive: Buffer, digest: string) => Files,
  run: (mirror: string, ...more: string[]) => ReturnType<typeof bale>,
) {
  const damaged = await serveMirror(filesFor(archive, '0'.repeat(64)))
  const refused = await run(damaged.mirror, '--clear-cache')
  expect(refused.code, refused.output).toBe(51)
  expect(refused.output).toContain('Checksum mismatch')

  const served = await serveMirror(filesFor(archive, sha256(archive)))
  const { code, output } = await run(served.mirror, '--clear-cache')
  expect(code, output).toBe(0)
  return { ...served, output }
}
