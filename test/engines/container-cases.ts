import { chmod, chown, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { execFileSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { changesOthers, makesLayer, reachesProcesses } from '../helpers/attack.ts'
import { skip } from '../helpers/skip.ts'
import { landlockVersion } from '../helpers/supervisor.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { writeTree } from '../helpers/tree.ts'
import { useProbe } from './harness.ts'
import { readAttempts, systemCallCases } from './system-call-cases.ts'

/**
 * Runs a phase in a container of the builder image, as its user, with the engine's default profiles and volumes of this machine
 * (`<host path>:<path>[:ro]`).
 */
export type RunPhase = (
  phase: 'detector' | 'builder',
  volumes: readonly string[],
  options?: readonly string[],
) => Promise<{ readonly code: number | string; readonly text: string }>

const scripts = { detect: 'exit 0', build: 'exit 0' }

/** Each phase in a container of its own, as pack and platforms on Kubernetes run it: what a hostile buildpack gets at. */
export function containerCases(runPhase: RunPhase): void {
  const probe = useProbe()
  const used: string[] = []
  afterAll(() => Promise.all(used.map(dir => rm(dir, { recursive: true, force: true }))))

  /** Runs a phase with two buildpacks, test/first and test/second, and returns what they said. */
  async function run(
    phase: 'detector' | 'builder',
    first: Partial<typeof scripts>,
    second: Partial<typeof scripts>,
    more: { readonly volumes?: readonly string[]; readonly options?: readonly string[] } = {},
  ) {
    const dir = await mkdtemp(join(tmpdir(), 'bale-test-'))
    used.push(dir)
    await chmod(dir, 0o755)
    const group = ['first', 'second'].map(id => `id = "test/${id}"\nversion = "1.0.0"\n`)
    const buildpack = (id: string, { detect, build }: typeof scripts) => ({
      [`buildpacks/test_${id}/1.0.0/buildpack.toml`]: `api = "0.11"\n[buildpack]\nid = "test/${id}"\nversion = "1.0.0"\n[[targets]]\nos = "linux"\n`,
      [`buildpacks/test_${id}/1.0.0/bin/detect`]: { script: detect },
      [`buildpacks/test_${id}/1.0.0/bin/build`]: { script: build },
    })
    await writeTree(dir, {
      ...buildpack('first', { ...scripts, ...first }),
      ...buildpack('second', { ...scripts, ...second }),
      'order.toml': `[[order]]\n${group.map(text => `[[order.group]]\n${text}`).join('')}`,
      'layers/group.toml': group.map(text => `[[group]]\n${text}api = "0.11"\n`).join(''),
      'layers/plan.toml': '',
      'layers/analyzed.toml': '[run-image]\nreference = "r"\n[run-image.target]\nos = "linux"\narch = "amd64"\n',
      'app/main.txt': 'app',
      'platform/env/SETTING': 'value',
    })
    execFileSync('chmod', ['-R', 'a+rX', dir])
    execFileSync('chown', ['-R', '1000:1000', join(dir, 'layers'), join(dir, 'app')])
    for (const path of [probe.hostPath, dirname(probe.hostPath)]) await chmod(path, 0o755)
    const volumes = [
      ...[`${dir}/layers:/layers`, `${dir}/app:/workspace`, `${dir}/platform:/platform:ro`],
      ...[
        `${dir}/buildpacks:/cnb/buildpacks:ro`,
        `${dir}/order.toml:/cnb/order.toml:ro`,
        `${probe.hostPath}:/probe:ro`,
      ],
      ...(more.volumes ?? []),
    ]
    const { code, text } = await runPhase(phase, volumes, more.options)
    expect(code, text).toBe(0)
    return { dir, text }
  }

  describe.each(['detector', 'builder'] as const)('of %s', phase => {
    let attempts: Map<string, string>
    beforeAll(async () => {
      // What bin/detect says is shown for those that fail; so it leaves it in the application.
      const script = '/probe attempts >/workspace/attempts 2>&1'
      const { dir } = await run(phase, {}, { detect: script, build: script })
      attempts = readAttempts(await readFile(join(dir, 'app/attempts'), 'utf8'))
    }, 60_000)
    systemCallCases(() => attempts)

    it('X03 has no devices but the harmless ones', () => {
      const found = [...attempts.keys()].filter(name => name.startsWith('device:'))
      const harmless = ['full', 'null', 'ptmx', 'pts/ptmx', 'random', 'tty', 'urandom', 'zero']
      expect(found.filter(name => !harmless.includes(name.replace('device:/dev/', '')))).toEqual([])
    })
  })

  it('X27 X49 changes nothing of another buildpack, of what the platform gives, and of what the phase keeps', async ctx => {
    if (landlockVersion() < 3) return skip(ctx, 'Linux 6.2 with Landlock is needed')
    const { dir, text } = await run('builder', { build: makesLayer }, { build: `${makesLayer}\n${changesOthers}` })
    expect(text).toContain('all tried')
    expect(text).not.toContain('done:')
    expect(await readFile(join(dir, 'layers/test_first/own/file'), 'utf8')).toBe('mine\n')
    const left = ['analyzed.toml', 'config', 'group.toml', 'plan.toml', 'test_first', 'test_second']
    expect((await readdir(join(dir, 'layers'))).toSorted()).toEqual(left)
  })

  it('X05 X11 X14 X36 X39 X41 K15 sees no memory, environment or descriptor of the phase, and sends it no signal', async ctx => {
    if (landlockVersion() < 6) return skip(ctx, 'Linux 6.12 with Landlock is needed')
    const attack = `/probe descriptors | sed 's/^/open /'; /probe devices
${reachesProcesses}`
    const { text } = await run('builder', {}, { build: attack })
    expect(text).toMatch(/^\s*([3-9]|\d\d) were there$/m)
    expect(text).not.toMatch(/^\s*(signalled|environment|memory|descriptor|device)/m)
    const open = [...text.matchAll(/^\s*open (\d+) (.*)$/gm)]
    expect(
      open.filter(
        ([, fd, leads]) => Number(fd) > 2 || !/^(\/tmp\/pipes-\S+ \(deleted\)|pipe:\[\d+\])$/.test(leads ?? ''),
      ),
    ).toEqual([])
  })

  it('X16 X36 leaves no process for the next buildpack', async () => {
    const leaves = `(setsid sh -c 'ulimit -u 100; trap "" TERM; exec sleep 7531' >/dev/null 2>&1 &)
sleep 0.2; grep -l 7531 /proc/[0-9]*/cmdline >/dev/null && echo started`
    const looks = `for file in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$file | grep -q '^sleep 7531' && echo "alive $file"; done 2>/dev/null; echo looked`
    const { text } = await run('builder', { build: leaves }, { build: looks })
    expect(text).toContain('started')
    expect(text).toContain('looked')
    expect(text).not.toContain('alive')
  })

  it('X06 X38 reaches no abstract socket of the machine, also with its network', async ctx => {
    if (landlockVersion() < 6) return skip(ctx, 'Linux 6.12 with Landlock is needed')
    const name = `bale-test-${process.pid}`
    const server = createServer().listen(`\0${name}`)
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const { text } = await run(
      'builder',
      {},
      { build: `/probe abstract ${name} || true` },
      { options: ['--network', 'host'] },
    )
    expect(text).toMatch(/^\s*connect EPERM$/m)
  })

  it('X07 X15 X22 finds no socket of an engine, becomes nobody else, and gives no file of others a second name', async () => {
    const attack = `exec 2>/dev/null
for socket in /var/run/docker.sock /run/podman/podman.sock /run/containerd/containerd.sock "$SSH_AUTH_SOCK"; do [ -S "$socket" ] && echo "there: $socket"; done
for file in /etc/passwd /usr/bin/env /shown; do ln $file /workspace/link-$(basename $file) && echo "linked $file"; done
for program in $(find / -xdev -perm /6000 -type f); do echo "setuid $program"; done
/shown; grep NoNewPrivs /proc/self/status; echo all tried`
    const dir = await temporaryDirectory()
    await chmod(dir, 0o755)
    const setuid = join(dir, 'id')
    await writeFile(setuid, await readFile('/usr/bin/id'))
    await chown(setuid, 0, 0)
    await chmod(setuid, 0o6755)
    const { text } = await run('builder', {}, { build: attack }, { volumes: [`${setuid}:/shown:ro`] })
    expect(text).toContain('all tried')
    expect(text).not.toMatch(/there:|linked/)
    expect(text).toMatch(/uid=1000\b(?!.*euid=0)/)
    expect(text).toMatch(/NoNewPrivs:\s1/)
    expect((await stat(setuid)).nlink).toBe(1)
  })
}
