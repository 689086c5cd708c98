import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, bale, digestIn, freePort, root } from './helpers/bale.ts'
import { type Daemon, startDocker } from './helpers/daemons.ts'
import { type DockerRegistry, missing, startDockerRegistry } from './helpers/docker-registry.ts'
import { type Available, skip } from './helpers/skip.ts'
import { temporaryDirectory } from './helpers/temporary.ts'

const node = join(root, 'examples', 'node')
const absent = missing('docker-registry') ?? missing('skopeo')

/** What every engine must find: the app answers, and runs as the run image's own user. */
async function expectToServe(port: number, whoami: () => string): Promise<void> {
  const { status, body } = await ask(`http://127.0.0.1:${port}/`)
  expect(status).toBe(200)
  expect(body).toContain('Bale')
  expect(whoami().trim()).toBe('1001')
}

describe('images of ours and the programs of others', () => {
  let registry: DockerRegistry | undefined
  let docker: Available<Daemon> = { state: 'missing', reason: 'not started' }

  beforeAll(async () => {
    if (absent === undefined) registry = await startDockerRegistry({ secure: false })
    docker = await startDocker()
  })
  afterAll(async () => {
    await registry?.close()
    if (docker.state === 'available') await docker.value.stop()
  })

  it('a registry gets what is published, and skopeo reads it with the same digest', async context => {
    if (registry === undefined) return skip(context, absent ?? 'no registry')
    const name = `${registry.host}/team/node`
    const digest = digestIn(
      await bale(['build', `${name}:1`, '--tag', `${name}:latest`, '--path', node, '--publish', '--quiet']),
    )
    for (const tag of ['1', 'latest']) {
      const inspected = execFileSync('skopeo', ['inspect', '--tls-verify=false', `docker://${name}:${tag}`], {
        encoding: 'utf8',
      })
      expect((JSON.parse(inspected) as { Digest: string }).Digest).toBe(digest)
    }
    // A second build finds its layers there and sends none.
    const again = await bale(['build', `${name}:1`, '--path', node, '--publish'])
    expect(again.output).toContain(digest)
    expect(again.output).not.toContain('Adding layer')
  })

  it('Docker runs it as its non-root user, and it answers', async context => {
    if (docker.state === 'missing') return skip(context, docker.reason)
    const { socketPath } = docker.value
    const built = await bale(['build', 'docker-daemon:bale-test-node', '--path', node, '--quiet'], {
      env: { DOCKER_HOST: `unix://${socketPath}` },
    })
    expect(built.code, built.output).toBe(0)
    const port = await freePort()
    const run = (...args: string[]): string =>
      execFileSync('docker', ['--host', `unix://${socketPath}`, ...args], { encoding: 'utf8' })
    run('run', '--detach', '--name', 'bale-test', '--network', 'host', '--env', `PORT=${port}`, 'bale-test-node')
    try {
      await expectToServe(port, () => run('exec', 'bale-test', 'id', '-u'))
    } finally {
      run('rm', '--force', 'bale-test')
    }
  })

  it('a plain name goes to Docker with --docker, and where the user has configured that', async context => {
    if (docker.state === 'missing') return skip(context, docker.reason)
    const DOCKER_HOST = `unix://${docker.value.socketPath}`
    const config = await temporaryDirectory()
    const env = { DOCKER_HOST, XDG_CONFIG_HOME: config }
    const build = (name: string, ...flags: string[]) =>
      bale(['build', name, '--path', join(root, 'examples/procfile'), '--quiet', ...flags], { env })
    const idOf = (name: string) =>
      spawnSync('docker', ['--host', DOCKER_HOST, 'image', 'inspect', '--format', '{{.Id}}', name], {
        encoding: 'utf8',
      })
    const name = 'bale-test-to-docker'
    const flagged = await build(`${name}:1`, '--docker', '--tag', `docker-daemon:${name}:2`)
    expect(flagged.code, flagged.output).toBe(0)
    expect(idOf(`${name}:1`).stdout).toMatch(/^sha256:/)
    expect(idOf(`${name}:2`).stdout).toBe(idOf(`${name}:1`).stdout)
    const both = await build(`${name}:3`, '--docker', '--publish')
    expect([both.code, both.stderr]).toEqual([2, expect.stringContaining('--docker --publish')])
    expect((await bale(['config', 'default-destination', 'docker'], { env })).code).toBe(0)
    expect((await build(`${name}:4`)).code).toBe(0)
    expect(idOf(`${name}:4`).status).toBe(0)
    expect(idOf(`${name}:3`).status).not.toBe(0)
    expect((await bale(['image', 'ls'], { env })).stdout).not.toContain(name)
    const nobody = { ...env, DOCKER_HOST: 'unix:///nonexistent/docker.sock' }
    const without = await bale(['build', name, '--docker', '--path', join(root, 'examples/procfile')], { env: nobody })
    expect([without.code === 0, without.stderr]).toEqual([false, expect.stringContaining('/nonexistent/docker.sock')])
  })

  it('Podman pulls it from the registry, runs it as its non-root user, and it answers', async context => {
    const lacking =
      absent ?? missing('podman') ?? missing('crun') ?? (process.getuid?.() === 0 ? undefined : 'it needs root here')
    if (lacking !== undefined || registry === undefined) return skip(context, lacking ?? 'no registry')
    const name = `${registry.host}/team/podman`
    expect((await bale(['build', name, '--path', node, '--publish', '--quiet'])).code).toBe(0)
    const dir = await temporaryDirectory()
    const port = await freePort()
    const podman = (...args: string[]): string => {
      const options = [
        '--root',
        join(dir, 'root'),
        '--runroot',
        join(dir, 'run'),
        '--cgroup-manager',
        'cgroupfs',
        '--events-backend',
        'file',
        '--runtime',
        'crun',
      ]
      const limits =
        args[0] === 'run'
          ? [
              'run',
              '--cgroups=disabled',
              '--ulimit',
              'nofile=1024:1024',
              '--ulimit',
              'nproc=4096:4096',
              ...args.slice(1),
            ]
          : args
      // crun wants the unified cgroup hierarchy; some machines still have both.
      const unified =
        'if ! [ -e /sys/fs/cgroup/cgroup.controllers ]; then umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; fi; exec "$@"'
      const result = spawnSync('unshare', ['--mount', 'sh', '-c', unified, 'sh', 'podman', ...options, ...limits], {
        encoding: 'utf8',
      })
      if (result.status !== 0) throw new Error(`podman ${args.join(' ')}: ${result.stderr}`)
      return result.stdout
    }
    podman('pull', '--tls-verify=false', name)
    podman('run', '--detach', '--name', 'bale-test', '--network', 'host', '--env', `PORT=${port}`, name)
    try {
      await expectToServe(port, () => podman('exec', 'bale-test', 'id', '-u'))
    } finally {
      podman('rm', '--force', 'bale-test')
      podman('rmi', '--all', '--force')
    }
  })
})
