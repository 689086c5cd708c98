import { execFile } from 'node:child_process'
import { chownSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { chmod, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ensureStack } from '../lifecycle/platform/stack.ts'
import { settings as settingsOf } from '../lifecycle/platform/settings.ts'
import { silent } from '../lifecycle/events.ts'
import { Stores } from '../lifecycle/stores/open.ts'
import { hostPlatform } from '../lifecycle/stores/settings.ts'
import { bale, root } from './helpers/bale.ts'
import { type Daemon, startDocker, startPodman } from './helpers/daemons.ts'
import { type DockerRegistry, login, missing, startDockerRegistry } from './helpers/docker-registry.ts'
import { type Available, skip } from './helpers/skip.ts'
import { writeTree } from './helpers/tree.ts'

// Our lifecycle in the hands of a platform: what `npm run dist` makes, each phase in a container of its own of a Debian
// build image, with volumes between them and a registry that wants a login; then all of it as creator.

const run = promisify(execFile)
const absent = missing('docker-registry')
const architecture = hostPlatform().architecture

/** What it makes tells who runs it; what it prints is all that a buildpack can find out about secrets and networks. */
const buildpack = {
  'buildpack.toml': 'api = "0.12"\n[buildpack]\nid = "test/app"\nversion = "1.0.0"\n[[targets]]\nos = "linux"\n',
  'bin/detect': { script: 'echo "detect as $(id -u)"' },
  'bin/build': {
    script: `set -e
cd "$CNB_LAYERS_DIR"
test ! -e tool || echo 'the tool is here'
test ! -e /opt/tool || cat /opt/tool
mkdir -p tool/bin
printf '#!/bin/sh\\necho "run by $(id -u)"\\n' > tool/bin/hello
chmod 755 tool/bin/hello
printf '[types]\\nlaunch = true\\nbuild = true\\ncache = true\\n' > tool.toml
printf '[[processes]]\\ntype = "web"\\ncommand = ["hello"]\\ndefault = true\\n' > launch.toml
echo "build as $(id -u), networks: $(ls /sys/class/net | tr '\\n' ' ')"
env
for file in /proc/[0-9]*/environ /proc/[0-9]*/cmdline; do tr '\\0' '\\n' < "$file" 2>/dev/null || true; done`,
  },
}

/** Its Dockerfiles leave a program in the build image, and another in the run image. */
const extension = {
  'test_tools/1.0.0/extension.toml': 'api = "0.10"\n[extension]\nid = "test/tools"\nversion = "1.0.0"\n',
  'test_tools/1.0.0/bin/detect': { script: 'exit 0' },
  'test_tools/1.0.0/bin/generate': {
    script: `cat >"$CNB_OUTPUT_DIR/build.Dockerfile" <<'EOF'
ARG base_image
FROM \${base_image}
USER root
RUN echo "built as $(id -u)" >/opt/tool
EOF
cat >"$CNB_OUTPUT_DIR/run.Dockerfile" <<'EOF'
ARG base_image
FROM \${base_image}
ARG user_id
ARG group_id
USER root
RUN echo "run as $(id -u)" >/opt/tool && chmod 4755 /opt/tool && rm -r /etc/dpkg
ENV RUN_TOOL=set
LABEL io.buildpacks.rebasable=true
USER \${user_id}:\${group_id}
EOF`,
  },
}

/** What a phase printed is why it failed. */
const asFailure = (name: string) => (error: unknown) => {
  const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
  throw Object.assign(new Error(`${name} ended with ${code}:\n${stdout}${stderr}`), { code, stdout })
}

describe('phases in containers', () => {
  let registry: DockerRegistry | undefined
  let docker: Available<Daemon> = { state: 'missing', reason: 'not started' }
  let dir: string
  let lifecycle: string

  /** Why this machine has no containers to try it in. */
  const lacking = (): string | undefined => (docker.state === 'missing' ? docker.reason : absent)

  function dockerCommand(...args: string[]): Promise<{ stdout: string; stderr: string }> {
    if (docker.state === 'missing') throw new Error(docker.reason)
    const options = ['--config', join(dir, 'docker'), '--host', `unix://${docker.value.socketPath}`]
    return run('docker', [...options, ...args], { maxBuffer: 64 << 20 })
  }

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'bale-platform-'))
    await chmod(dir, 0o755)
    docker = await startDocker()
    if (lacking() !== undefined) return
    registry = await startDockerRegistry({ secure: true })
    writeFileSync(join(dir, 'ca.pem'), registry.certificate ?? '')
    const auth = Buffer.from(`${login.username}:${login.password}`).toString('base64')
    await writeTree(dir, {
      'docker/config.json': JSON.stringify({ auths: { [registry.host]: { auth } } }),
      ...Object.fromEntries(
        Object.entries(buildpack).map(([name, file]) => [`buildpacks/test_app/1.0.0/${name}`, file]),
      ),
      'order.toml': '[[order]]\n[[order.group]]\nid = "test/app"\nversion = "1.0.0"\n',
    })
    await run('node', [join(root, 'scripts/dist.mjs'), '--out', join(dir, 'dist'), 'lifecycle'], { cwd: '/' })
    lifecycle = join(dir, 'dist', `linux-${architecture}`, 'lifecycle')
    const settings = settingsOf(process.env)
    await using stores = new Stores(settings, silent)
    const parts = { stackDir: join(root, 'stacks/trixie'), arch: architecture, settings, reporter: silent }
    const stack = await ensureStack({ ...parts, store: stores.local }, new AbortController().signal)
    mkdirSync(join(dir, 'root', 'tmp'), { recursive: true })
    await chmod(join(dir, 'root', 'tmp'), 0o1777)
    const changes = ['ENV CNB_USER_ID=1000', 'ENV CNB_GROUP_ID=1000'].flatMap(c => ['--change', c])
    await run('sh', [
      // An unpacked root has no directory that everybody can write to.
      ...[
        '-c',
        'tar -C "$1" --exclude=./tmp -c . -C "$2" tmp | docker --host "$3" import "$4" "$5" "$6" "$7" - build:1',
      ],
      ...['sh', stack.buildRoot, join(dir, 'root')],
      ...[`unix://${docker.state === 'available' ? docker.value.socketPath : ''}`, ...changes],
    ])
    const pushed = await bale(['image', 'save', 'bale.local/stacks/trixie:run', `docker://${registry.host}/run`], {
      env: { DOCKER_CONFIG: join(dir, 'docker'), SSL_CERT_FILE: join(dir, 'ca.pem') },
    })
    expect(pushed.code, pushed.output).toBe(0)
  })

  afterAll(async () => {
    await registry?.close()
    if (docker.state === 'available') await docker.value.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  /** Volumes as a platform makes them: root's, but for the source. */
  function volumes(owner = 0): string {
    const place = join(dir, `volumes-${readdirSync(dir).length}`)
    for (const name of ['layers', 'cache', 'launch-cache', 'workspace'])
      mkdirSync(join(place, name), { recursive: true })
    for (const name of ['layers', 'cache', 'launch-cache']) chownSync(join(place, name), owner, owner)
    writeFileSync(join(place, 'workspace', 'index.txt'), 'hello')
    for (const name of ['workspace', 'workspace/index.txt']) chownSync(join(place, name), 1000, 1000)
    return place
  }

  interface Started {
    readonly user: 'root' | '1000'
    readonly network?: 'none' | 'host'
    readonly args?: readonly string[]
    readonly env?: Readonly<Record<string, string>>
    /** Of the container; the build image by default. */
    readonly image?: string
    /** What is mounted besides, or in place of, what each phase has: the host's path by that in the container. */
    readonly mounts?: Readonly<Record<string, string>>
  }

  /** Runs a phase in a container; what it printed. Only those that talk to a registry know the login. */
  async function phase(name: string, place: string, started: Started) {
    const { user, network = 'none', args = [], env = {}, image = 'build:1' } = started
    const socket = docker.state === 'available' ? docker.value.socketPath : ''
    const auth = `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`
    const variables = {
      CNB_PLATFORM_API: '0.12',
      ...(network === 'host' && {
        CNB_REGISTRY_AUTH: JSON.stringify({ [registry?.host ?? '']: auth }),
        SSL_CERT_FILE: '/ca.pem',
        DOCKER_HOST: 'unix:///docker.sock',
      }),
      ...env,
    }
    const mounts = {
      '/cnb/lifecycle': `${lifecycle}:ro`,
      '/cnb/buildpacks': `${join(dir, 'buildpacks')}:ro`,
      '/cnb/order.toml': `${join(dir, 'order.toml')}:ro`,
      '/ca.pem': `${join(dir, 'ca.pem')}:ro`,
      ...(args.includes('-daemon') && { '/docker.sock': socket }),
      ...Object.fromEntries(['layers', 'cache', 'launch-cache', 'workspace'].map(v => [`/${v}`, join(place, v)])),
      ...started.mounts,
    }
    const { stdout, stderr } = await dockerCommand(
      ...['run', '--rm', '--network', network, '--user', user],
      ...Object.entries(mounts).flatMap(([to, from]) => [
        '--volume',
        from.replace(/(?::ro)?$/, mode => `:${to}${mode}`),
      ]),
      ...Object.entries(variables).flatMap(([key, value]) => ['--env', `${key}=${value}`]),
      ...[image, `/cnb/lifecycle/${name}`, ...args],
    ).catch(asFailure(name))
    return stdout + stderr
  }

  /** All phases, as pack runs them for a builder that it does not trust. */
  async function line(place: string, image: string, options: readonly string[] = []): Promise<Record<string, string>> {
    const connected = { user: 'root', network: 'host' } as const
    const runImage = `-run-image=${registry?.host}/run`
    return {
      analyzer: await phase('analyzer', place, { ...connected, args: [...options, runImage, image] }),
      detector: await phase('detector', place, { user: '1000' }),
      restorer: await phase('restorer', place, { ...connected, args: [...options, '-cache-dir=/cache'] }),
      builder: await phase('builder', place, { user: '1000' }),
      exporter: await phase('exporter', place, { ...connected, args: [...options, '-cache-dir=/cache', image] }),
    }
  }

  const digestIn = (place: string): string =>
    /digest = "(sha256:[0-9a-f]{64})"/.exec(readFileSync(join(place, 'layers/report.toml'), 'utf8'))?.[1] ?? 'none'

  it('one by one, twice, and the image runs; buildpacks have no secret and no network', async context => {
    const reason = lacking()
    if (reason !== undefined) return skip(context, reason)
    const image = `${registry?.host}/team/app`
    const place = volumes()
    const first = await line(place, image)
    expect(first['detector']).toContain('1 of 1 buildpacks participating')
    expect(first['builder']).toContain('build as 1000, networks: lo \n')
    expect(first['exporter']).toContain("Adding layer 'test/app:tool'")
    const owners = ['layers/test_app/tool', 'layers/analyzed.toml', 'layers/report.toml', 'cache/committed']
    expect(owners.map(path => statSync(join(place, path)).uid)).toEqual([1000, 1000, 1000, 1000])
    const ran = await dockerCommand('run', '--rm', '--network', 'none', image)
    expect(ran.stdout).toBe('run by 1001\n')

    const digest = digestIn(place)
    rmSync(join(place, 'layers'), { recursive: true })
    mkdirSync(join(place, 'layers'))
    const second = await line(place, image)
    expect(second['builder']).toContain('the tool is here')
    expect(second['exporter']).toContain("Reusing layer 'test/app:tool'")
    expect(digestIn(place)).toBe(digest)

    // creator as root, with a login that its buildpacks must not find (K15), and as an ordinary user: the same image.
    for (const user of ['root', '1000'] as const) {
      const own = volumes(user === 'root' ? 0 : 1000)
      const args = [`-run-image=${registry?.host}/run`, '-cache-dir=/cache', `${registry?.host}/team/created-${user}`]
      const said = await phase('creator', own, { user, network: 'host', args })
      expect(said).toContain('build as 1000')
      expect(digestIn(own)).toBe(digest)
      expect(said).not.toContain(login.password)
      expect(said).not.toContain(Buffer.from(`${login.username}:${login.password}`).toString('base64'))
      expect(statSync(join(own, 'cache/committed')).uid).toBe(1000)
    }
  })

  it('with a daemon, whose socket is root’s, and a launch cache', async context => {
    const reason = lacking()
    if (reason !== undefined) return skip(context, reason)
    // The daemon has the run image as a platform leaves it there.
    await dockerCommand('pull', `${registry?.host}/run`)
    const place = volumes()
    const daemon = ['-daemon', '-launch-cache=/launch-cache']
    const connected = { user: 'root', network: 'host' } as const
    const runImage = `-run-image=${registry?.host}/run`
    const build = async (): Promise<string> => {
      await phase('analyzer', place, { ...connected, args: [...daemon, runImage, 'local/app'] })
      await phase('detector', place, { user: '1000' })
      await phase('restorer', place, { ...connected, args: ['-daemon', '-cache-dir=/cache'] })
      await phase('builder', place, { user: '1000' })
      return phase('exporter', place, { ...connected, args: [...daemon, '-cache-dir=/cache', 'local/app'] })
    }
    expect(await build()).toContain("Adding layer 'test/app:tool'")
    expect(await build()).toContain("Reusing layer 'test/app:tool'")
    expect((await dockerCommand('run', '--rm', '--network', 'none', 'local/app')).stdout).toBe('run by 1001\n')
    const args = [...daemon, '-cache-dir=/cache', runImage, 'local/created']
    expect(await phase('creator', place, { ...connected, args })).toContain('===> EXPORTING')
    const ids = await dockerCommand('image', 'inspect', '--format', '{{.Id}}', 'local/app', 'local/created')
    expect(new Set(ids.stdout.trim().split('\n')).size).toBe(1)
  })

  it.for(['registry', 'daemon'] as const)('with image extensions, in a %s', async (kind, context) => {
    const reason = lacking()
    if (reason !== undefined) return skip(context, reason)
    const runImage = `${registry?.host}/run`
    // A container of the run image needs it in the daemon.
    await dockerCommand('pull', runImage)
    const place = volumes()
    const extensions = join(place, 'extensions')
    await writeTree(extensions, extension)
    const kaniko = join(place, 'kaniko')
    mkdirSync(kaniko)
    const order = join(place, 'order.toml')
    writeFileSync(
      order,
      `${readFileSync(join(dir, 'order.toml'), 'utf8')}[[order-extensions]]\n[[order-extensions.group]]\nid = "test/tools"\nversion = "1.0.0"\n`,
    )
    const [daemon, image] = kind === 'daemon' ? [['-daemon'], 'local/extended'] : [[], `${registry?.host}/extended`]
    const mounts = { '/cnb/order.toml': order, '/cnb/extensions': extensions, '/kaniko/cache': kaniko }
    const started = { user: 'root', env: { CNB_PLATFORM_API: '0.13' }, mounts } as const
    const connected = { ...started, network: 'host' } as const
    await phase('analyzer', place, { ...connected, args: [...daemon, `-run-image=${runImage}`, image] })
    await phase('detector', place, { ...started, user: '1000' })
    await phase('restorer', place, { ...connected, args: [...daemon, `-build-image=${runImage}`] })
    await phase('extender', place, { ...started, image: runImage, args: ['-kind=run'], env: { ...started.env } })
    const built = await phase('extender', place, { ...started, args: ['-kind=build'] })
    expect(built).toContain('build as 1000')
    expect(built).toMatch(/^built as 0$/m)
    await phase('exporter', place, { ...connected, args: [...daemon, image] })
    const ran = await dockerCommand(
      ...['run', '--rm', '--network', 'none', '--entrypoint', 'sh', image, '-c'],
      '/layers/test_app/tool/bin/hello; cat /opt/tool; ls -l /opt/tool; ls /etc/dpkg; echo $RUN_TOOL',
    )
    expect(ran.stdout).toMatch(/^run by 1001\nrun as 0\n-rwsr-xr-x 1 root root .* \/opt\/tool\nset\n$/)
    expect(ran.stderr).toContain('/etc/dpkg')
  })

  it('with Podman’s socket', async context => {
    const podman = await startPodman()
    const reason = lacking() ?? (podman.state === 'missing' ? podman.reason : undefined)
    if (reason !== undefined || podman.state === 'missing') return skip(context, reason ?? 'no podman')
    const DOCKER_HOST = `unix://${podman.value.socketPath}`
    try {
      const saved = await bale(['image', 'save', 'bale.local/stacks/trixie:run', 'docker-daemon:localhost/run'], {
        env: { DOCKER_HOST },
      })
      expect(saved.code, saved.output).toBe(0)
      // On this machine, not in containers: what is tried is the socket.
      const place = volumes()
      const at = (name: string): string => join(place, name)
      const paths = {
        CNB_LAYERS_DIR: at('layers'),
        CNB_APP_DIR: at('workspace'),
        CNB_BUILDPACKS_DIR: join(dir, 'buildpacks'),
        CNB_ORDER_PATH: join(dir, 'order.toml'),
        CNB_PLATFORM_DIR: at('workspace'),
      }
      const env = {
        PATH: process.env.PATH,
        CNB_PLATFORM_API: '0.12',
        CNB_USER_ID: '1000',
        CNB_GROUP_ID: '1000',
        ...paths,
      }
      const host = async (name: string, ...args: string[]): Promise<string> => {
        const asUser = ['detector', 'builder'].includes(name) ? ['--reuid=1000', '--regid=1000', '--clear-groups'] : []
        const { stdout } = await run('setpriv', [...asUser, join(lifecycle, name), ...args], {
          env: { ...env, DOCKER_HOST },
        }).catch(asFailure(name))
        return stdout
      }
      const build = async (): Promise<string> => {
        await host('analyzer', '-daemon', '-run-image=localhost/run', 'localhost/app')
        await host('detector')
        await host('restorer', '-daemon', `-cache-dir=${at('cache')}`)
        await host('builder')
        return host(
          'exporter',
          '-daemon',
          `-launcher=${join(lifecycle, 'launcher')}`,
          `-cache-dir=${at('cache')}`,
          'localhost/app',
        )
      }
      expect(await build()).toContain("Adding layer 'test/app:tool'")
      expect(await build()).toContain("Reusing layer 'test/app:tool'")
      expect(statSync(at('layers/test_app')).uid).toBe(1000)
      const inspected = await bale(['inspect', 'docker-daemon:localhost/app'], { env: { DOCKER_HOST } })
      expect(inspected.output).toContain('test/app')
    } finally {
      await podman.value.stop()
    }
  })

  it('detector and builder refuse to be root: 1', async context => {
    const reason = lacking()
    if (reason !== undefined) return skip(context, reason)
    for (const name of ['detector', 'builder']) {
      const started = phase(name, volumes(), { user: 'root' })
      await expect(started).rejects.toMatchObject({ code: 1, stdout: expect.stringContaining('as root') as unknown })
    }
  })
})
