import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { healthChecker } from '../../buildpacks/health-checker/health-checker.ts'
import { TestProject } from '../../buildpacks/sdk/testing.ts'

const dir = join(import.meta.dirname, '../../buildpacks/health-checker')

async function built(env: Record<string, string>) {
  const project = await TestProject.create({ buildpack: healthChecker, dir, app: {}, env })
  onTestFinished(() => project[Symbol.asyncDispose]())
  return { project, ...(await project.build()) }
}

/** A server that answers /404 with that status, and so on; and never /silent. */
async function serve(): Promise<string> {
  const server = createServer((request, response) => {
    if (request.url !== '/silent') response.writeHead(Number(request.url?.slice(1)) || 200).end()
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => (server.closeAllConnections(), void server.close()))
  return String((server.address() as AddressInfo).port)
}

describe('the health-checker buildpack', () => {
  it('takes part where it is asked for', async () => {
    const detect = async (env: Record<string, string>) => (await built(env)).project.detect()
    expect((await detect({ BP_HEALTH_CHECKER_ENABLED: 'false' })).exitCode).toBe(100)
    expect((await detect({ BP_HEALTH_CHECKER_ENABLED: 'true' })).exitCode).toBe(0)
  })

  it('adds a process that is not the default', async () => {
    const { launch, layers, project } = await built({})
    const script = join(project.layersDir, 'checker/bin/health-check')
    expect(launch).toEqual({ processes: [{ type: 'health-check', command: [script] }] })
    expect(layers['checker']?.types).toEqual({ launch: true, build: false, cache: false })
  })

  it('says that there is no choice of health checkers', async () => {
    expect((await built({ BP_HEALTH_CHECKER_DEPENDENCY: 'other' })).output).toContain('there is one health checker')
  })

  it.each([
    [{}, 0, ''],
    [{ THC_PATH: '/204' }, 0, ''],
    [{ THC_PATH: '302' }, 0, ''],
    [{ THC_PATH: '/404' }, 1, 'unhealthy: GET /404: HTTP/1.1 404 Not Found\n'],
    [{ THC_PATH: '/500' }, 1, 'unhealthy: GET /500: HTTP/1.1 500 Internal Server Error\n'],
    [{ THC_PATH: '/silent', THC_REQ_TIMEOUT: '1' }, 1, 'unhealthy: no answer to GET /silent in 1 seconds\n'],
    [{ THC_PATH: '/a HTTP/1.0\r\nX: y' }, 1, 'unhealthy: THC_PATH is not a path\n'],
    [{ THC_PORT: '80; id' }, 1, 'unhealthy: THC_PORT is not a port: 80; id\n'],
    [{ THC_PORT: '1' }, 1, 'unhealthy: nothing listens at port 1\n'],
    [{ THC_REQ_TIMEOUT: 'x' }, 1, 'unhealthy: THC_REQ_TIMEOUT is not a number of seconds: x\n'],
  ])('with %j it ends with %i', async (env, status, message) => {
    const { project } = await built({})
    const PORT = await serve()
    const outcome = await new Promise<{ status: number; stderr: string }>(done => {
      const options = { env: { PATH: process.env['PATH'], PORT, ...env } }
      execFile(join(project.layersDir, 'checker/bin/health-check'), options, (error, _stdout, stderr) =>
        done({ status: error === null ? 0 : Number(error.code), stderr }),
      )
    })
    expect(outcome).toEqual({ status, stderr: message })
  })
})
