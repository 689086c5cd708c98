import { chmod, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { Engine, EngineRun } from '../../lifecycle/engines/engine.ts'
import { BaleError } from '../../lifecycle/errors.ts'
import type { BuildEnvironment } from '../../lifecycle/platform/build-environment.ts'
import { containerRunner } from '../../lifecycle/platform/container-runner.ts'
import { openWorkspace } from '../../lifecycle/platform/workspace.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { writeTree } from '../helpers/tree.ts'
import { asOrdinaryUser } from '../helpers/user.ts'
import { recorder } from '../phases/harness.ts'

/** The parts of a build in a container whose sandboxes are those of an engine. */
async function containerBuild(dir: string, engine: Engine) {
  await writeTree(dir, { 'own/home': { dir: true }, 'own/tmp': { dir: true } })
  await chmod(dir, 0o755)
  const workspace = await openWorkspace(join(dir, 'cache'))
  const environment = {
    user: { uid: 1000, gid: 1000 },
    buildpacks: [],
    buildConfig: [],
    hasBuildpacks: false,
    rootfs: { layers: [], config: {} },
    lifecycle: { platformApi: '0.15', phases: { from: 'image' } },
  } as unknown as BuildEnvironment
  return {
    environment,
    workspace: { ...workspace, own: { home: join(dir, 'own/home'), tmp: join(dir, 'own/tmp') } },
    proxies: {},
    network: 'host',
    limits: undefined,
    landlock: '/absent',
    sandbox: () => engine,
    reporter: recorder(),
  } as const
}

it('K24 refuses the SSH agent of the job if no sandbox hides its socket', async () => {
  const engine: Engine = {
    name: 'bubblewrap',
    check: () => Promise.reject(new BaleError('engine', 'no user namespaces')),
    run: () => Promise.reject(new Error('never')),
  }
  await asOrdinaryUser(async () => {
    const build = await containerBuild(await temporaryDirectory(), engine)
    const error = await failureOf(containerRunner({ ...build, ssh: { agent: 'user', mounts: [] } }, {}))
    expect(error).toMatchObject({ code: 'engine', where: '--ssh default' })
    await containerRunner({ ...build, ssh: { agent: 'build', mounts: [] } }, {})
  })
})

it('shows buildpacks volumes, and the file of a certificate bundle that is a link, as in a volume of a ConfigMap', async () => {
  const runs: EngineRun[] = []
  const engine: Engine = {
    name: 'bubblewrap',
    check: () => Promise.resolve(),
    run(run) {
      runs.push(run)
      return Promise.resolve({ code: 0 })
    },
  }
  const { file, variable } = await asOrdinaryUser(async () => {
    const dir = await temporaryDirectory()
    await writeTree(dir, {
      'certs/..2026/ca.crt': 'PEM',
      'certs/..data': { link: '..2026' },
      'certs/ca.crt': { link: '..data/ca.crt' },
    })
    const build = await containerBuild(dir, engine)
    const runner = await containerRunner(
      {
        ...build,
        caBundle: join(dir, 'certs/ca.crt'),
        volumes: [{ hostPath: '/data', path: '/data', access: 'read-only' }],
      },
      {},
    )
    await runner.run('detect')
    const variable = join(build.workspace.cnb, 'build-config/env/SSL_CERT_FILE.default')
    return { file: join(dir, 'certs/..2026/ca.crt'), variable: await readFile(variable, 'utf8') }
  })
  expect(runs[0]?.mounts).toContainEqual({ hostPath: file, path: file, access: 'read-only' })
  expect(variable).toBe(file)
  expect(runs[0]?.mounts).toContainEqual({ hostPath: '/data', path: '/data', access: 'read-only' })
})
