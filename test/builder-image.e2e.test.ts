import { execFile, execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { root } from './helpers/bale.ts'
import { builderImageArchive } from './helpers/builder-image.ts'
import { examples } from './helpers/ci-examples.ts'
import { isInstalled, startDocker } from './helpers/daemons.ts'
import { type FakeRegistry, startRegistry } from './helpers/registry.ts'
import { containerCases } from './engines/container-cases.ts'
import { type RootlessPodman, rootlessPodman } from './helpers/rootless-podman.ts'
import { type Available, suiteWith } from './helpers/skip.ts'
import { writeTree } from './helpers/tree.ts'

// The builder image as `image:` of a job, in a real Docker with its default profiles: what builds there, and what a hostile
// build does not get at. Beside each other: the same attacks where the job has the Docker socket, as jobs that build have it.

const run = promisify(execFile)
const image = 'bale/builder:test'
const needed = isInstalled('docker') && isInstalled('skopeo')
const docker = needed
  ? await startDocker()
  : ({ state: 'missing', reason: 'docker or skopeo is not installed' } as const)

const restricted = ['--cap-drop', 'ALL', '--security-opt', 'no-new-privileges', '--read-only', '--tmpfs', '/tmp']
/** A container in which bubblewrap can make sandboxes. */
const nesting = ['seccomp=unconfined', 'apparmor=unconfined', 'systempaths=unconfined'].flatMap(o => [
  '--security-opt',
  o,
])
let dir: string
let builderArchive: string
const archive = () => `oci-archive:${builderArchive}`
if (needed) {
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'bale-test-job-'))
    await chmod(dir, 0o755)
    builderArchive = await builderImageArchive(join(dir, 'dist'))
  }, 900_000)
  afterAll(() => rm(dir, { recursive: true, force: true }))
}

suiteWith('the builder image in Docker', docker, daemon => {
  let registry: FakeRegistry
  const env = { ...process.env, DOCKER_HOST: `unix://${daemon.socketPath}` }
  /** Status and all output of a container. It has the host's network, where the registry is. */
  const job = async (options: readonly string[], script: string) => {
    const argv = ['run', '--rm', '--network', 'host', ...options, image, 'sh', '-c', script]
    return outputOf('docker', argv, env)
  }
  const source = async (name: string, files: Record<string, string>) => {
    const path = join(dir, name)
    await writeTree(path, files)
    execFileSync('chmod', ['-R', 'a+rX', path])
    return path
  }

  beforeAll(async () => {
    await run('skopeo', ['copy', '-q', '--dest-daemon-host', env.DOCKER_HOST, archive(), `docker-daemon:${image}`])
    registry = await startRegistry()
  }, 120_000)
  afterAll(async () => {
    await registry?.close()
    await daemon.stop()
  }, 60_000)

  describe('a job', () => {
    it.each([
      ['of the image’s user', '1000:1000'],
      ['of a user id that nobody knows', '12345:0'],
    ])('%s builds and publishes without a capability, on a read-only root', async (_whose, user) => {
      const app = await source('app', { Procfile: 'web: echo hello\n' })
      const script = `/kaniko/executor --context dir:///workspace --destination ${registry.host}/app:1 \
        --destination ${registry.host}/other:2 --digest-file /tmp/digest --label team=x --cache=true &&
        echo "digest $(cat /tmp/digest)"; ls -A /layers /app`
      const options = [...restricted, '--user', user, '-v', `${app}:/workspace:ro`]
      const { code, text } = await job(options, script)
      expect(code, text).toBe(0)
      const digest = /^digest (sha256:[0-9a-f]{64})$/m.exec(text)?.[1] ?? ''
      for (const name of ['app:1', 'other:2', `app@${digest}`]) expect([...registry.manifests.keys()]).toContain(name)
      expect(text.match(/confined by Landlock/g)).toHaveLength(1)
      expect(text).toContain('digest ' + digest + '\n/app:\n\n/layers:\n')
    })

    // A package client, a compiler or an unpacker that runs after the first layer is finished needs places to write in.
    it.each(['flask', 'node'])('without a capability builds examples/%s with its packages', async name => {
      const authorities = process.env['SSL_CERT_FILE'] ?? '/etc/ssl/certs/ca-certificates.crt'
      const options = [
        ...[...restricted, '--user', '1000', '-v', `${root}/examples/${name}:/source:ro`],
        ...(existsSync(authorities) ? ['-v', `${authorities}:/etc/ssl/certs/ca-certificates.crt:ro`] : []),
      ]
      const { code, text } = await job(options, `bale build ${registry.host}/${name} --publish --path /source`)
      expect(code, text).toBe(0)
      expect([...registry.manifests.keys()]).toContain(`${name}:latest`)
    })

    it('makes the same image in sandboxes, where the container allows user namespaces, and has their limits', async () => {
      const app = await source('sandboxed', {
        Procfile: 'web: true\n',
        'project.toml': inline('echo "it sees: $(ls /proc | grep -c "^[0-9]") processes; $(ls /source 2>&1)"'),
      })
      const script = 'bale build oci-archive:/tmp/x.tar --path /source'
      const options = ['--user', '12345:0', ...restricted, '-v', `${app}:/source:ro`]
      const outside = await job(options, script)
      const inside = await job([...options, ...nesting], `${script} --network none --memory 500MB`)
      expect(inside.code, inside.text).toBe(0)
      expect(inside.text.match(/^Buildpacks run in a bubblewrap sandbox: .*$/gm), inside.text).toHaveLength(1)
      expect(outside.text).toMatch(/^Buildpacks run .*confined by Landlock.*\(a sandbox needs .*user namespaces.*\)$/m)
      expect(inside.text).toMatch(/it sees: \d processes; .*\/source.*No such file/)
      const digest = ({ text }: { text: string }) => /^Digest: (sha256:[0-9a-f]{64})/m.exec(text)?.[1]
      expect(digest(inside)).toBe(digest(outside))
      expect(digest(inside)).toBeDefined()
    })

    it('of root runs buildpacks as another user', async () => {
      const app = await source('as-root', { Procfile: 'web: true\n', 'project.toml': inline('echo uid $(id -u)') })
      const script = 'bale build oci-archive:/tmp/x.tar --path /source --verbose'
      const { code, text } = await job(['--user', '0', '-v', `${app}:/source:ro`], script)
      expect(code, text).toBe(0)
      expect(text).toContain('uid 1000')
    })

    it('of root without capabilities is refused, since buildpacks would be root', async () => {
      const { code, text } = await job([...restricted, '--user', '0'], 'bale build x --path /etc')
      expect(code).not.toBe(0)
      expect(text).toMatch(/lacks CHOWN, DAC_OVERRIDE, SETGID, SETUID[\s\S]*--user 1000/)
    })

    it('is refused where its directories are in use, with what to do', async () => {
      const { code, text } = await job(['--user', '1000'], 'touch /layers/x; bale build x --path /etc')
      expect(code).not.toBe(0)
      expect(text).toMatch(/\/layers: the build needs an empty directory, but this one has files\n/)
    })
  })

  describe('the commands of examples/ci', () => {
    it.each(examples)('$file', async ({ file, script, env: variables }) => {
      const app = await source('example', { Procfile: 'web: echo hello\n' })
      const name = `team/${file.replaceAll(/[^a-z]+/g, '-').replace(/^-/, '')}`
      const end = join(dir, 'termination-log')
      await writeFile(end, '')
      await chmod(end, 0o666)
      const token = join(dir, 'token')
      await writeFile(token, 'a-secret-of-a-job')
      const given = variables(registry.host, name)
      const options = [...Object.entries(given).flatMap(([key, value]) => ['-e', `${key}=${value}`])]
      options.push(
        '-v',
        `${app}:/source:ro`,
        '-v',
        `${end}:/dev/termination-log`,
        '-v',
        `${token}:/secrets/npm/token:ro`,
      )
      const inCheckout = `cp -r /source /tmp/job && cd /tmp/job && printf '%s' "$EXAMPLE" >/tmp/script && sh -eu /tmp/script`
      const { code, text } = await job(
        [...restricted, '--user', '1000', '-e', `EXAMPLE=${script}`, ...options],
        inCheckout,
      )
      expect(code, text).toBe(0)
      expect(
        [...registry.manifests.keys()].filter(key => key.startsWith(`${name}:`) || key.startsWith(`${name}@`)),
        text,
      ).not.toEqual([])
    })
  })

  describe('escapes: the host’s file, the job’s secrets', () => {
    const secret = 'canary-7d21'
    let host: string
    const motd = () => readFile(join(host, 'motd'), 'utf8')
    beforeAll(async () => {
      host = join(dir, 'host')
      await mkdir(host)
      await writeFile(join(host, 'motd'), 'welcome\n')
      await mkdir(join(dir, 'secrets'))
      await writeFile(join(dir, 'secrets/config.json'), `{"auths":{"r.test":{"auth":"${btoa(`ann:${secret}`)}"}}}`)
    })

    /** What a build step does that has found a Docker socket. */
    const throughSocket = (socket: string) => `
      api() { curl -sS --unix-socket ${socket} -H 'Content-Type: application/json' "$@"; }
      id=$(api -X POST -d '{"Image":"${image}","User":"0","Cmd":["sh","-c","echo owned >/host/motd"],"HostConfig":{"Binds":["${host}:/host"],"NetworkMode":"host"}}' \
        http://d/containers/create | sed -n 's/.*"Id":"\\([0-9a-f]*\\)".*/\\1/p')
      [ -n "$id" ] && api -X POST "http://d/containers/$id/start" && api -X POST "http://d/containers/$id/wait"`

    it('a build step with a mounted Docker socket writes the host’s file', async () => {
      const { text } = await job(
        ['--user', '0', '-v', `${daemon.socketPath}:/var/run/docker.sock`],
        throughSocket('/var/run/docker.sock'),
      )
      expect(await motd(), text).toBe('owned\n')
      await writeFile(join(host, 'motd'), 'welcome\n')
    })

    const attack = `
      ${throughSocket('/var/run/docker.sock')}
      echo owned >/host/motd; cp /bin/true /host/true
      mount -t tmpfs none /mnt; mknod /tmp/disk b 8 0; unshare -r true; chroot / true; echo 0 >/proc/sys/kernel/core_pattern
      cat /secrets/config.json; cat /proc/1/environ; cat /proc/*/environ; ls /proc/1/root/; cat /source/.git/config
      echo the end of the attack`
    it.each([
      ['root', ['--user', '0']],
      ['another user without capabilities', ['--user', '1000', ...restricted]],
      ['another user, in a sandbox', ['--user', '1000', ...restricted, ...nesting]],
    ])('a buildpack in a job of %s gets at none of it, though all of it is mounted', async (_who, options) => {
      const app = await source('attack', { Procfile: 'web: true\n', 'project.toml': inline(attack) })
      await chmod(daemon.socketPath, 0o660)
      const mounts = ['-v', `${daemon.socketPath}:/var/run/docker.sock`, '-v', `${host}:/host`]
      const secrets = [
        '-v',
        `${join(dir, 'secrets')}:/secrets:ro`,
        '-e',
        'DOCKER_CONFIG=/secrets',
        '-e',
        `TOKEN=${secret}`,
      ]
      const script = 'bale build oci-archive:/tmp/x.tar --path /source'
      const { code, text } = await job([...options, ...mounts, ...secrets, '-v', `${app}:/source:ro`], script)
      expect(code, text).toBe(0)
      expect(text).toContain('the end of the attack')
      expect(await motd(), text).toBe('welcome\n')
      expect(await stat(join(host, 'true')).catch(() => 'absent')).toBe('absent')
      expect(text).not.toContain(secret)
      expect(text).not.toContain(btoa(`ann:${secret}`))
    })
  })

  it('X07 a buildpack in a sandbox has no Docker socket, though the job may open it', async () => {
    const app = await source('socket', {
      Procfile: 'web: true\n',
      'project.toml': inline(
        'ls -l /var/run/docker.sock; curl -sS --unix-socket /var/run/docker.sock http://d/version',
      ),
    })
    const socket = daemon.socketPath
    await chmod(socket, 0o666)
    try {
      const options = ['--user', '1000', ...restricted, ...nesting, '-v', `${socket}:/var/run/docker.sock`]
      const argv = [...options, '-v', `${app}:/source:ro`]
      const script = `curl -sS --unix-socket /var/run/docker.sock http://d/version; bale build oci-archive:/tmp/x.tar --path /source`
      const { code, text } = await job(argv, script)
      expect(code, text).toBe(0)
      expect(text.match(/"Platform":/g), text).toHaveLength(1)
    } finally {
      await chmod(socket, 0o660)
    }
  })

  describe('a phase: a hostile buildpack', () => {
    containerCases((phase, volumes, options) =>
      outputOf('docker', [...phaseOptions(volumes, options), image, `/cnb/lifecycle/${phase}`], env),
    )
  })
})

/** Status and all output of a program. */
async function outputOf(program: string, argv: readonly string[], env = process.env) {
  return run(program, argv, { env, maxBuffer: 1 << 24 }).then(
    ({ stdout, stderr }) => ({ code: 0, text: stdout + stderr }),
    (error: unknown) => {
      const { code = -1, stdout = '', stderr = '' } = error as { code?: number; stdout?: string; stderr?: string }
      return { code, text: stdout + stderr }
    },
  )
}

/** The options of a container for a phase, which is of the image's user. */
const phaseOptions = (volumes: readonly string[], options: readonly string[] = ['--network', 'none']) => [
  ...['run', '--rm', '--user', '1000:1000', '-e', 'CNB_PLATFORM_API=0.14', ...options],
  ...volumes.flatMap(volume => ['-v', volume]),
]

/** Podman's own limits are higher than those that root may set in some containers. */
const limits = ['--ulimit', 'nofile=1024:4096', '--ulimit', 'nproc=4096:4096']

const podman: Available<true> =
  isInstalled('podman') && isInstalled('runc') && needed && process.getuid?.() === 0
    ? { state: 'available', value: true }
    : { state: 'missing', reason: 'podman, runc, docker or skopeo is not installed, or this is not root' }

suiteWith('a phase in Podman: a hostile buildpack', podman, () => {
  let storage: string[]
  beforeAll(async () => {
    const at = await mkdtemp(join(tmpdir(), 'bale-podman-'))
    storage = ['--root', join(at, 'data'), '--runroot', join(at, 'run'), '--tmpdir', join(at, 'tmp')]
    storage.push('--cgroup-manager', 'cgroupfs', '--events-backend', 'file', '--runtime', 'runc')
    await run('podman', [...storage, 'pull', '-q', archive()])
  }, 120_000)
  afterAll(async () => {
    await run('podman', [...storage, 'system', 'reset', '--force'])
    await rm(join(storage[1] as string, '..'), { recursive: true, force: true })
  }, 60_000)

  containerCases(async (phase, volumes, options) => {
    const [id] = (await run('podman', [...storage, 'images', '-q'])).stdout.split('\n')
    const argv = [...storage, ...phaseOptions(volumes, options), ...limits, id as string]
    return outputOf('podman', [...argv, `/cnb/lifecycle/${phase}`])
  })
})

suiteWith('the builder image in rootless Podman', podman, () => {
  let user: RootlessPodman
  let registry: FakeRegistry
  let id: string
  const podmanOf = (...args: string[]) => outputOf(user.argv[0], [...user.argv.slice(1), ...args])
  /** In the container this user is the image's user. */
  const asUser = ['--userns', 'keep-id:uid=1000,gid=1000', ...limits]
  beforeAll(async () => {
    user = await rootlessPodman()
    registry = await startRegistry()
    if (dirname(builderArchive).startsWith(dir)) await chmod(dirname(builderArchive), 0o755)
    const pulled = await podmanOf('pull', '-q', archive())
    expect(pulled.code, pulled.text).toBe(0)
    id = /^([0-9a-f]{12,})$/m.exec(pulled.text)?.[1] as string
  }, 180_000)
  afterAll(async () => {
    await registry?.close()
    await user?.close()
  }, 60_000)

  it.each([
    ['confined by Landlock', 'rootless', []],
    ['in a bubblewrap sandbox', 'sandboxed', ['seccomp=unconfined', 'unmask=ALL'].flatMap(o => ['--security-opt', o])],
  ])('builds and publishes %s, without a capability, on a read-only root', async (how, name, more) => {
    const app = join(dir, `${name}-app`)
    await writeTree(app, { Procfile: 'web: echo hello\n' })
    execFileSync('chmod', ['-R', 'a+rX', app])
    const script = `bale build ${registry.host}/${name} --publish --path /source && id -u`
    const options = ['--network', 'host', ...asUser, ...restricted, ...more, '-v', `${app}:/source:ro`]
    const { code, text } = await podmanOf('run', '--rm', ...options, id, 'sh', '-c', script)
    expect(code, text).toBe(0)
    expect(text).toContain(how)
    expect(text).toMatch(/^1000$/m)
    expect([...registry.manifests.keys()]).toContain(`${name}:latest`)
  })
})

/** A project.toml with a buildpack in it that runs after all others, and prints what its script says. */
function inline(script: string): string {
  return `[_]
schema-version = "0.2"
[[io.buildpacks.group]]
id = "bale/procfile"
[[io.buildpacks.group]]
id = "acme/attack"
version = "1.0.0"
[io.buildpacks.group.script]
api = "0.10"
inline = '''
#!/bin/sh
{ ${script}
} 2>&1
exit 0
'''
`
}
