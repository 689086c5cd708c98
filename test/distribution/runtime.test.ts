import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { nodeVersion } from '../../distribution/node.ts'
import { root } from '../helpers/bale.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { writeTree } from '../helpers/tree.ts'

const run = promisify(execFile)
type Locked = { integrity?: string; link?: boolean; hasInstallScript?: boolean; inBundle?: boolean }
const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { packages: Record<string, Locked> }
const name = `node-linux-${process.arch}`

const integrityOf = (bytes: Buffer): string => `sha512-${createHash('sha512').update(bytes).digest('base64')}`

/** npm's package of Node with a program of ours in it, as a registry serves it. */
async function packageWith(program: string): Promise<Buffer> {
  const dir = await temporaryDirectory()
  const manifest = { name, version: nodeVersion, bin: { node: 'bin/node' }, os: 'linux', cpu: process.arch }
  const scripts = { postinstall: `echo ran >${join(dir, 'ran')}` }
  await writeTree(dir, {
    'package/package.json': JSON.stringify({ ...manifest, scripts }),
    'package/bin/node': { script: program },
  })
  await run('tar', ['-czf', join(dir, 'package.tgz'), '-C', dir, 'package'])
  return readFile(join(dir, 'package.tgz'))
}

/** A registry on loopback that has this one package, and vouches for its bytes whatever they are. */
async function registryWith(archive: Buffer): Promise<string> {
  const server = createServer((request, response) => {
    if (request.url?.endsWith('.tgz')) return void response.end(archive)
    const tarball = `http://${request.headers.host}/${name}.tgz`
    const version = { name, version: nodeVersion, dist: { tarball, integrity: integrityOf(archive) } }
    response.end(JSON.stringify({ name, 'dist-tags': { latest: nodeVersion }, versions: { [nodeVersion]: version } }))
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

/** `npm ci` of distribution/runtime alone, from a registry, with the integrity that the lock file has. */
async function install(archive: Buffer, integrity: string | undefined): Promise<{ program: string; said: string }> {
  const dir = await temporaryDirectory()
  const manifest = { name: 'runtime', version: '1.0.0', optionalDependencies: { [name]: nodeVersion } }
  const packages = {
    '': manifest,
    [`node_modules/${name}`]: { ...lock.packages[`node_modules/${name}`], integrity },
  }
  await writeTree(dir, {
    'package.json': JSON.stringify(manifest),
    'package-lock.json': JSON.stringify({ ...manifest, lockfileVersion: 3, requires: true, packages }),
    '.npmrc': `registry=${await registryWith(archive)}\ncache=${join(dir, 'cache')}\n`,
  })
  const argv = ['ci', '--no-audit', '--no-fund', '--loglevel=verbose']
  const { NODE_OPTIONS: _options, ...env } = process.env
  const { stdout, stderr } = await run('npm', argv, { cwd: dir, env })
  return { program: join(dir, 'node_modules', name, 'bin/node'), said: stdout + stderr }
}

describe('the Node of a checkout', () => {
  it('is pinned by package-lock.json as every package is, and only esbuild may run a script when it is installed', () => {
    const entries = Object.entries(lock.packages).filter(([path]) => path.includes('node_modules/'))
    const unpinned = entries.filter(([, { integrity, link, inBundle }]) => !integrity && !link && !inBundle)
    expect(unpinned.map(([path]) => path)).toEqual([])
    const scripted = entries.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => path)
    expect(scripted.filter(path => !/\/(esbuild|fsevents)$/.test(path))).toEqual([])
  })

  it('is not installed from a registry that serves other bytes, whatever the registry says of them', async () => {
    const tampered = await packageWith('echo tampered')
    const refused = await install(tampered, lock.packages[`node_modules/${name}`]?.integrity)
    expect(existsSync(refused.program)).toBe(false)
    expect(refused.said).toContain('failed optional dependency')
    // The same registry, client and lock file install the package whose integrity is the one that is asked for.
    const { program } = await install(tampered, integrityOf(tampered))
    expect((await run(program)).stdout).toBe('tampered\n')
  })
})
