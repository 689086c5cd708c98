import { existsSync } from 'node:fs'
import { chmod, chown, lstat, mkdir } from 'node:fs/promises'
import { relative } from 'node:path'
import { describe, expect, it } from 'vitest'
import { main } from '../../../lifecycle/cli/phase/main.ts'
import { digestOf } from '../../../lifecycle/image/digest.ts'
import { supportedPlatformApis } from '../../../lifecycle/spec/api.ts'
import { supervisorProgram } from '../../helpers/supervisor.ts'
import { type Machine, environmentOf, machine, registryWithRun, runLine } from './line.ts'

// What creator does is in phases.e2e.test.ts, since it starts processes: here is what it refuses before.

describe('creator', () => {
  it.each([
    ['no image', (): string[] => [], 3],
    ['two images', (h: string) => [`${h}/a`, `${h}/b`], 3],
    ['a tag in another registry', (h: string) => ['-tag=other.example/a', `${h}/a`], 3],
    ['a run image that is not there', (h: string) => [`-run-image=${h}/gone`, `${h}/a`], 3],
    ['-analyzed, which is not a flag of it', (h: string) => ['-analyzed=x', `${h}/a`], 2],
    ['-skip-layers, which is another binary’s', (h: string) => ['-skip-layers', `${h}/a`], 2],
  ])('refuses %s', async (_, args, status) => {
    const registry = await registryWithRun()
    const m = await machine('0.15')
    const result = await m.run('creator', [`-run-image=${registry.host}/run`, ...args(registry.host)])
    expect(result.status, result.said).toBe(status)
    expect(existsSync(m.path('layers/analyzed.toml'))).toBe(false)
  })
  it.each(supportedPlatformApis)('takes -stack at %s, and looks for it below 0.12 only', async api => {
    const registry = await registryWithRun()
    const m = await machine(api, { 'other.toml': `[run-image]\nimage = "${registry.host}/gone"\n` })
    const { status, said } = await m.run('creator', [`-stack=${m.path('other.toml')}`, `${registry.host}/app`])
    expect(status).toBe(3)
    expect(said).toContain(Number(api.slice(2)) < 12 ? `${registry.host}/gone` : '-run-image is required')
  })
})

/** Runs creator with small scripts in place of detector and builder. */
async function create(
  m: Machine,
  args: readonly string[],
  scripts: Readonly<Record<'detector' | 'builder', string>>,
  env: Record<string, string> = {},
) {
  await chmod(m.root, 0o755) // what root starts is another user's process
  let said = ''
  const status = await main(
    ['creator', ...args],
    { ...environmentOf(m.root, '0.15'), ...env },
    {
      write: text => void (said += text),
      user: { uid: 1000, gid: 1000 },
      signal: new AbortController().signal,
      become: () => {},
      program: name => ['/bin/sh', '-c', scripts[name]],
      supervisor: supervisorProgram(),
      landlock: '/nowhere/landlock',
    },
  )
  return { status, lines: said.split('\n') }
}

describe('the processes that run buildpacks', () => {
  async function environmentOfDetector(args: (m: Machine) => readonly string[], env: Record<string, string> = {}) {
    const registry = await registryWithRun()
    const m = await machine('0.15')
    const images = [`-run-image=${registry.host}/run`, `${registry.host}/app`]
    const { status, lines } = await create(m, [...args(m), ...images], { detector: 'env; exit 7', builder: '' }, env)
    expect(status, lines.join('\n')).toBe(22)
    expect(lines).toContain('CNB_PLATFORM_API=0.15')
    return { m, lines }
  }

  it('find what flags name by absolute paths, since they run in the app’s directory', async () => {
    const { m, lines } = await environmentOfDetector(m => [
      `-app=${relative('.', m.path('workspace'))}/`,
      ...['buildpacks', 'layers', 'platform'].map(flag => `-${flag}=${relative('.', m.path(flag))}`),
      ...[`-order=${relative('.', m.path('order.toml'))}`, '-log-level=debug'],
    ])
    for (const [name, path] of [
      ['CNB_APP_DIR', 'workspace'],
      ['CNB_BUILDPACKS_DIR', 'buildpacks'],
      ['CNB_LAYERS_DIR', 'layers'],
      ['CNB_PLATFORM_DIR', 'platform'],
      ['CNB_ORDER_PATH', 'order.toml'],
      ['CNB_GROUP_PATH', 'layers/group.toml'],
    ] as const)
      expect(lines).toContain(`${name}=${m.path(path)}`)
    expect(lines).toContain('CNB_LOG_LEVEL=debug')
  })
  it('end a build that would extend images: creator does not', async () => {
    const registry = await registryWithRun()
    const m = await machine('0.15')
    const group = `[[group-extensions]]\nid = "one"\nversion = "1"\napi = "0.10"\n`
    const detector = `printf '${group.replaceAll('\n', '\\n')}' > "$CNB_GROUP_PATH"`
    const images = [`-run-image=${registry.host}/run`, `${registry.host}/app`]
    await chown(m.path('layers'), 1000, 1000)
    const { status, lines } = await create(m, images, { detector, builder: 'exit 1' })
    expect([status, lines.join('\n')]).toEqual([
      22,
      expect.stringContaining('creator cannot extend images, and the order has the image extensions one'),
    ])
  })
  it('look for the order themselves where none is named', async () => {
    const { lines } = await environmentOfDetector(() => [], { CNB_ORDER_PATH: '' })
    expect(lines.filter(line => line.startsWith('CNB_ORDER_PATH'))).toEqual([])
  })
  it.each([
    ['nothing says otherwise', [], {}, true],
    ['-skip-restore', ['-skip-restore'], {}, false],
    ['CNB_SKIP_RESTORE', [], { CNB_SKIP_RESTORE: 'true' }, false],
    ['CNB_SKIP_LAYERS, which has no flag here', [], { CNB_SKIP_LAYERS: 'true' }, false],
  ])('find restored layers: %s', async (_, args, env, restored) => {
    const registry = await registryWithRun()
    const m = await machine('0.15')
    const run = `-run-image=${registry.host}/run`
    await runLine(m, `${registry.host}/app`, { analyzer: [run] })
    const scripts = { detector: 'true', builder: 'exit 7' } // the group is still there
    const { status, lines } = await create(m, [...args, run, `${registry.host}/app`], scripts, env)
    expect(status, lines.join('\n')).toBe(52)
    expect(lines.includes('Restoring metadata for "test/app:modules" from app image')).toBe(restored)
  })
})

describe('K16 a proxy’s password', () => {
  const HTTPS_PROXY = 'http://ann:s3cret-w0rd@proxy:3128'

  it('reaches buildpacks with a warning of creator, and is masked in what they print', async () => {
    const registry = await registryWithRun()
    const m = await machine('0.15')
    const images = [`-run-image=${registry.host}/run`, `${registry.host}/app`]
    const scripts = { detector: 'echo "through $HTTPS_PROXY"; exit 7', builder: '' }
    const { lines } = await create(m, images, scripts, { HTTPS_PROXY, NO_PROXY: '127.0.0.1' })
    const said = lines.join('\n')
    expect(said).toContain('through http://ann:***@proxy:3128')
    expect(said.match(/can read the password in HTTPS_PROXY/g)).toHaveLength(1)
    expect(said).not.toContain('s3cret-w0rd')
  })

  it('is in the warning of detector, where a platform starts it', async () => {
    const m = await machine('0.15')
    const { said } = await m.run('detector', [], { HTTPS_PROXY })
    expect(said).toMatch(/Warning: .*can read the password in HTTPS_PROXY/)
    expect(said).not.toContain('s3cret-w0rd')
  })
})

describe('X28 a build that forges what phases tell one another', () => {
  const detector = `set -e
printf '[[group]]\\nid = "test/app"\\nversion = "1.0.0"\\napi = "0.11"\\n' > "$CNB_GROUP_PATH"; : > "$CNB_PLAN_PATH"`
  const builder = `set -e; cd "$CNB_LAYERS_DIR"; rm -rf test_app/*; mkdir -p config test_app/own
printf m > test_app/own/file; printf '[types]\\nlaunch = true\\n' > test_app/own.toml
printf '[[processes]]\\ntype = "web"\\ncommand = ["x"]\\nbuildpack-id = "test/app"\\n' > config/metadata.toml`
  const forge = `rm -f group.toml analyzed.toml plan.toml
printf '[[group]]\\nid = "forged"\\nversion = "1.0.0"\\napi = "0.11"\\n' > group.toml
printf '[run-image]\\nreference = "forged.example/run"\\n[image]\\nreference = "forged.example/app"\\n' > analyzed.toml
mkdir -p forged/own; printf f > forged/own/file; printf '[types]\\nlaunch = true\\n' > forged/own.toml
ln -s "$CNB_APP_DIR/canary" report.toml`

  /** What root starts here is another user's process, and restore's files are not handed over. */
  const giveLayers = async (m: Machine): Promise<void> => {
    await mkdir(m.path('layers/test_app'))
    if (process.geteuid?.() === 0) for (const dir of ['layers', 'layers/test_app']) await chown(m.path(dir), 1000, 1000)
  }

  it('makes no image where BALE_CHECK_START is set and a process starts what is not there', async () => {
    const registry = await registryWithRun()
    const m = await machine('0.15')
    await giveLayers(m)
    const images = [`-run-image=${registry.host}/run`, `${registry.host}/app`]
    const before = registry.manifests.size
    const scripts = { detector, builder: `${builder}; echo 'direct = true' >> config/metadata.toml` }
    const { status, lines } = await create(m, images, scripts, { BALE_CHECK_START: 'true' })
    expect(lines.join('\n')).toMatch(/ERROR: process web \(test\/app\).*"x"/)
    expect(status).toBe(51)
    expect(registry.manifests.size).toBe(before)
  })

  it('is not believed: the image is that of a build without, and the report replaces a link', async () => {
    const registry = await registryWithRun()
    const m = await machine('0.15', { 'workspace/canary': 'sings' })
    const digestAfter = async (script: string): Promise<string> => {
      await m.renew()
      await giveLayers(m)
      const args = [`-launcher=${m.path('lifecycle/launcher')}`, `-run-image=${registry.host}/run`]
      const scripts = { detector, builder: `${builder}\n${script}` }
      const { status, lines } = await create(m, [...args, `${registry.host}/app`], scripts)
      expect(status, lines.join('\n')).toBe(0)
      return digestOf(registry.manifests.get('app:latest')?.bytes ?? '')
    }
    const reference = await digestAfter('')
    expect(await digestAfter(forge)).toBe(reference)
    expect(await m.read('workspace/canary')).toBe('sings')
    expect(await m.read('layers/report.toml')).toContain(`digest = "${reference}"`)
    expect((await lstat(m.path('layers/report.toml'))).isFile()).toBe(true)
  })
})

describe('a run image of run.toml', () => {
  it('for another machine is none', async () => {
    const registry = await registryWithRun({ architecture: 's390x' })
    const m = await machine('0.15', { 'run.toml': `[[images]]\nimage = "${registry.host}/run"\n` })
    const { status, said } = await m.run('creator', [`${registry.host}/app`])
    expect(status).toBe(3)
    expect(said).toContain('is for linux/s390x')
  })
})
