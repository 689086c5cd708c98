import { execFileSync } from 'node:child_process'
import { chown, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { PassThrough, Readable } from 'node:stream'
import { join } from 'node:path'
import { load } from 'js-yaml'
import { describe, expect, it, onTestFinished } from 'vitest'
import { runProgram } from '../../lifecycle/cli/program.ts'
import {
  parseBuildPlatform,
  parseBuildPlatforms,
  parseId,
  parsePlatform,
  parsePublished,
  parseRegistries,
  parseRunVolumes,
  parseVolumes,
} from '../../lifecycle/cli/values.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import { parseToml } from '../../lifecycle/spec/toml.ts'
import { layoutStore } from '../../lifecycle/stores/layout/store.ts'
import { configOf, layerOf } from '../helpers/images.ts'
import { startRegistry } from '../helpers/registry.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

/** A user with an own home, who runs `bale` in this process. */
async function user() {
  const home = await temporaryDirectory()
  const bale = async (args: readonly string[], input = '') => {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()]
    const said = { out: '', err: '' }
    stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text))
    stderr.setEncoding('utf8').on('data', (text: string) => (said.err += text))
    const env = { HOME: home, PATH: `${home}/bin:${process.env['PATH'] ?? ''}` }
    const own = {
      env,
      stdin: Readable.from([Buffer.from(input)]),
      stdout,
      stderr,
      once: () => own,
      removeListener: () => own,
    }
    const code = await runProgram(args, own as unknown as Parameters<typeof runProgram>[1])
    return { code, ...said }
  }
  const store = layoutStore(join(home, '.local/share/bale/images'))
  const image = async (name: string, architecture: string): Promise<string> => {
    const layer = await store.putLayer(await layerOf({ a: architecture }))
    const made = makeImage(configOf({ architecture }), [layer])
    await store.putImage(made, [`index.docker.io/library/${name}:latest`])
    return made.digest
  }
  return { home, bale, image }
}

/** Tables of TOML have no prototype. */
const toPlain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

interface Index {
  readonly manifests: { digest: string; platform: object; annotations?: object }[]
}

it('says where a source goes that follows the name, as for docker build', async () => {
  const { bale } = await user()
  const build = await bale(['build', 'app', '.'])
  expect([build.code, build.err]).toEqual([2, expect.stringContaining('after --path: bale build NAME --path DIR')])
  expect((await bale(['image', 'ls', 'app'])).err).not.toContain('--path')
})

it.each([
  [['--context', '/nowhere'], 'give the directory of your source with --context'],
  [['--context', import.meta.dirname, '--context-sub-path=nothing'], '--context-sub-path: the source has no directory'],
])('executor names kaniko’s flags in its errors: %j', async (args, text) => {
  const { bale } = await user()
  const { err } = await bale(['executor', '--no-push', ...args])
  expect(err).toContain(text)
  expect(err).not.toMatch(/--(sub-)?path/)
})

it('build names the flag of a level that the compression does not have', async () => {
  const { bale } = await user()
  const { code, err } = await bale(['build', 'app', '--compression-level', '10'])
  expect([code, err]).toEqual([2, expect.stringContaining('--compression-level 10')])
})

it('executor leaves the names of files as they are', async () => {
  const { bale } = await user()
  const { err } = await bale(['executor', '--no-push', '--context', '/nowhere--path/--tag'])
  expect(err).toContain('/nowhere--path/--tag')
  expect(err).toContain('give the directory of your source with --context')
})

describe.runIf(process.geteuid?.() === 0)('X44 a data directory that another user could have written', () => {
  it.each([
    ['inspect', 'one'],
    ['run', 'one'],
    ['image', 'ls'],
    ['image', 'rm', 'one'],
    ['image', 'tag', 'one', 'two'],
    ['image', 'push', 'one'],
    ['image', 'save', 'one', 'oci:/nowhere/one'],
    ['manifest', 'inspect', 'one'],
    ['manifest', 'create', 'many', 'one'],
    ['sbom', 'download', 'one'],
    ['rebase', 'one'],
    ['cache', 'prune'],
  ])('is refused by bale %s %s', async (...args) => {
    const { bale, home, image } = await user()
    await image('one', 'amd64')
    for (const dir of ['bale', 'bale/images']) {
      const path = join(home, '.local/share', dir)
      await chown(path, 12_345, 12_345)
      const { code, out, err } = await bale(args)
      expect(code, out + err).not.toBe(0)
      expect(err).toContain(`${path}: the directory belongs to another user, 12345`)
      await chown(path, 0, 0)
    }
  })

  it.each(['ls', 'prune'])('and a cache directory by bale cache %s', async command => {
    const { bale, home } = await user()
    const path = join(home, '.cache/bale')
    await mkdir(path, { recursive: true })
    await chown(path, 12_345, 12_345)
    expect((await bale(['cache', command])).err).toContain('belongs to another user, 12345')
  })
})

describe('bale inspect', () => {
  it('says the same in JSON, YAML and TOML', async () => {
    const { bale, image } = await user()
    const digest = await image('one', 'amd64')
    const inspect = async (format: string) => (await bale(['inspect', 'one', '-o', format])).out
    const json = JSON.parse(await inspect('json')) as Record<string, unknown>
    expect(json).toMatchObject({ digest, platform: 'linux/amd64' })
    expect(load(await inspect('yaml'))).toEqual(json)
    expect(toPlain(parseToml(await inspect('toml'), 'output'))).toEqual(json)
    expect((await bale(['inspect', 'one', '-o', 'xml'])).code).not.toBe(0)
  })
})

describe('bale manifest', () => {
  it('makes, changes, shows and removes an index', async () => {
    const { bale, image } = await user()
    const [amd64, arm64] = [await image('one', 'amd64'), await image('two', 'arm64')]
    const inspect = async () => JSON.parse((await bale(['manifest', 'inspect', 'both'])).out) as Index
    expect((await bale(['manifest', 'create', 'both', 'one'])).err).toBe('')
    await bale(['manifest', 'add', 'both', 'two'])
    expect((await inspect()).manifests.map(m => m.digest)).toEqual([amd64, arm64])
    const annotate = ['manifest', 'annotate', 'both', arm64, '--variant', 'v8', '--annotations', 'a=b']
    expect((await bale(annotate)).code).toBe(0)
    expect((await inspect()).manifests[1]).toMatchObject({
      platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
      annotations: { a: 'b' },
    })
    await bale(['manifest', 'remove', 'both', amd64])
    expect((await inspect()).manifests.map(m => m.digest)).toEqual([arm64])
    expect((await bale(['manifest', 'remove', 'both', 'one'])).err).toContain('does not have one')
    expect((await bale(['manifest', 'rm', 'both'])).code).toBe(0)
    expect((await bale(['manifest', 'rm', 'both'])).err).toContain('no index both')
  })

  it('pushes an index with its images, and purges it', async () => {
    const registry = await startRegistry()
    onTestFinished(() => registry.close())
    const { bale, image } = await user()
    await image('one', 'amd64')
    const name = `${registry.host}/team/both`
    await bale(['manifest', 'create', name, 'one'])
    const pushed = await bale(['manifest', 'push', name, '--purge'])
    expect(pushed.code, pushed.err).toBe(0)
    expect(registry.manifests.get('team/both:latest')?.type).toContain('index')
    expect((await bale(['manifest', 'push', name])).err).toContain('no index')
  })
})

describe('bale login and logout', () => {
  const auth = { scheme: 'basic', username: 'me', password: 'secret' } as const

  it('keep a password that the registry takes where Docker keeps it, for its owner alone', async () => {
    const registry = await startRegistry({ auth })
    onTestFinished(() => registry.close())
    const { bale, home } = await user()
    const file = join(home, '.docker/config.json')
    await mkdir(join(home, '.docker'))
    await writeFile(file, '{"auths":{"other.test":{}},"proxies":{"x":1}}')
    const login = await bale(['login', registry.host, '-u', 'me', '--password-stdin'], 'secret\n')
    expect(login.code, login.err).toBe(0)
    expect(login.out + login.err).not.toContain('secret')
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({
      auths: { 'other.test': {}, [registry.host]: { auth: Buffer.from('me:secret').toString('base64') } },
      proxies: { x: 1 },
    })
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect((await bale(['logout', registry.host])).code).toBe(0)
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ auths: { 'other.test': {} }, proxies: { x: 1 } })
    expect((await bale(['logout', registry.host])).out).toContain('No password was stored')
  })

  it('keep nothing that the registry refuses', async () => {
    const registry = await startRegistry({ auth })
    onTestFinished(() => registry.close())
    const { bale, home } = await user()
    const login = await bale(['login', registry.host, '-u', 'me', '-p', 'wrong'])
    expect(login.code).not.toBe(0)
    expect(login.err).toContain('401')
    expect(login.err).toContain('Fix: check the user name and the password or token\n')
    const unreachable = await bale(['login', '127.0.0.1:1', '-u', 'me', '-p', 'secret'])
    expect(unreachable.err).toContain('Fix: check that the registry runs, and its port\n')
    await expect(stat(join(home, '.docker/config.json'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('leave it to the helper that config.json names', async () => {
    const registry = await startRegistry({ auth })
    onTestFinished(() => registry.close())
    const { bale, home } = await user()
    await mkdir(join(home, '.docker'))
    await mkdir(join(home, 'bin'))
    await writeFile(join(home, '.docker/config.json'), '{"credsStore":"test"}')
    const script = `#!/bin/sh\necho "$1 $(cat)" >> ${home}/told\n`
    await writeFile(join(home, 'bin/docker-credential-test'), script, { mode: 0o755 })
    await bale(['login', registry.host, '-u', 'me', '-p', 'secret'])
    await bale(['logout', registry.host])
    const told = (await readFile(join(home, 'told'), 'utf8')).trim().split('\n')
    expect(told[0]).toBe(`store {"ServerURL":"${registry.host}","Username":"me","Secret":"secret"}`)
    expect(told[1]).toBe(`erase ${registry.host}`)
    expect(await readFile(join(home, '.docker/config.json'), 'utf8')).not.toContain('secret')
  })

  it.each([
    [[], 'a login takes the password from one place'],
    [['-p', 'a', '--password-stdin'], 'a login takes the password from one place'],
  ])('need one password: %s', async (more, message) => {
    const { bale } = await user()
    expect((await bale(['login', 'localhost:1', '-u', 'me', ...more])).err).toContain(message)
  })
})

describe('bale config', () => {
  it('keeps values, and forgets them', async () => {
    const { bale } = await user()
    expect((await bale(['config', 'pull-policy'])).out).toBe('pull-policy is not set\n')
    await bale(['config', 'pull-policy', 'never'])
    expect((await bale(['config', 'pull-policy'])).out).toBe('never\n')
    expect((await bale(['config', 'pull-policy', 'sometimes'])).code).toBe(2)
    await bale(['config', 'pull-policy', '--unset'])
    expect((await bale(['config', 'pull-policy'])).out).toBe('pull-policy is not set\n')
  })

  it('keeps mirrors of run images', async () => {
    const { bale } = await user()
    await bale(['config', 'run-image-mirrors', 'add', 'a/run', '-m', 'b/run', '-m', 'c/run'])
    expect((await bale(['config', 'run-image-mirrors', 'list'])).out).toBe('a/run: b/run, c/run\n')
    await bale(['config', 'run-image-mirrors', 'remove', 'a/run', '-m', 'b/run'])
    expect((await bale(['config', 'run-image-mirrors', 'list'])).out).toBe('a/run: c/run\n')
    await bale(['config', 'run-image-mirrors', 'remove', 'a/run'])
    expect((await bale(['config', 'run-image-mirrors', 'list'])).out).toBe('There are no mirrors\n')
    for (const args of [
      ['a/run', '-m', 'not an image'],
      ['a run', '-m', 'b/run'],
    ])
      expect((await bale(['config', 'run-image-mirrors', 'add', ...args])).err, args.join(' ')).toContain(
        'is not an image reference',
      )
    expect((await bale(['config', 'run-image-mirrors', 'list'])).out).toBe('There are no mirrors\n')
  })

  it('keeps mirrors of registries, by their hosts', async () => {
    const { bale } = await user()
    const mirrors = (...args: string[]) => bale(['config', 'registry-mirrors', ...args])
    await mirrors('add', 'https://docker.io/', '-m', 'mirror.test:5000/hub')
    await mirrors('add', 'r.test:5000', '-m', 'b.test')
    expect((await mirrors('list')).out).toBe('index.docker.io: mirror.test:5000/hub\nr.test:5000: b.test\n')
    expect((await bale(['config', 'run-image-mirrors', 'list'])).out).toBe('There are no mirrors\n')
    await mirrors('remove', 'docker.io')
    expect((await mirrors('list')).out).toBe('r.test:5000: b.test\n')
    expect((await mirrors('remove', 'docker.io')).err).toContain('there are no mirrors of index.docker.io')
    for (const args of [
      ['a b', '-m', 'c'],
      ['a', '-m', 'http://b'],
      ['a', '-m', 'b/../c d'],
    ])
      expect((await mirrors('add', ...args)).code, args.join(' ')).toBe(2)
    expect((await mirrors('list')).out).toBe('r.test:5000: b.test\n')
  })

  it('names the place of what is wrong in its file', async () => {
    const { bale, home } = await user()
    await mkdir(join(home, '.config/bale'), { recursive: true })
    await writeFile(join(home, '.config/bale/config.toml'), 'pull-policy = "sometimes"\n')
    expect((await bale(['config', 'pull-policy'])).err).toContain('config.toml:1 pull-policy')
  })
})

describe('bale report, completion and version', () => {
  it('report no names unless they are asked for', async () => {
    const { bale } = await user()
    await bale(['config', 'default-builder', 'secret.example/builder'])
    expect((await bale(['report'])).out).not.toContain('secret.example')
    expect((await bale(['report', '--explicit'])).out).toContain('secret.example/builder')
  })

  it('complete commands of two levels and their options', async () => {
    const { bale } = await user()
    const { out } = await bale(['completion'])
    const complete = (...words: string[]): string[] => {
      const script = `${out}\nCOMP_WORDS=(${words.map(w => `'${w}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _bale; echo "\${COMPREPLY[@]}"`
      return execFileSync('bash', ['-c', script], { encoding: 'utf8' }).trim().split(' ')
    }
    expect(complete('bale', 'buil')).toEqual(['build', 'builder', 'buildpack'])
    expect(complete('bale', 'builder', 'ins')).toEqual(['inspect'])
    expect(complete('bale', 'build', 'name', '--pull')).toEqual(['--pull-policy'])
    expect((await bale(['completion', '--shell', 'fish'])).out).toContain('complete -c bale')
    const zsh = (await bale(['completion', '--shell', 'zsh'])).out
    expect(zsh).toMatch(/^#compdef bale\n/) // so that it may be a file in fpath: dist.e2e.test.ts has zsh load it
    expect(zsh).toMatch(/'builder'\) words='create .*inspect/)
  })
})

describe('values', () => {
  it('of published ports are those of Docker, with the port of this machine first', () => {
    expect(
      parsePublished(['9000:8080', '127.0.0.1:80:8080/tcp', '[::1]:1:65535', 'localhost:2:3', '8080:8080']),
    ).toEqual([
      { port: 9000, to: 8080 },
      { host: '127.0.0.1', port: 80, to: 8080 },
      { host: '::1', port: 1, to: 65_535 },
      { host: 'localhost', port: 2, to: 3 },
      { port: 8080, to: 8080 },
    ])
    for (const text of [
      '8080',
      '0:1',
      '1:65536',
      '1:2:3',
      '256.0.0.1:1:2',
      'host.test:1:2',
      '1:2/udp',
      ':1:2',
      '1-2:3-4',
      '',
    ])
      expect(() => parsePublished([text]), text).toThrow(JSON.stringify(text))
    expect(() => parsePublished(['127.0.0.1:80:80'])).toThrow('the port on which the program listens')
  })

  it('of volumes of a run may cover what the image has, and nothing that leads elsewhere', () => {
    expect(parseRunVolumes(['/a:/workspace:rw', '/b:/tmp/b'])).toEqual([
      { hostPath: '/a', path: '/workspace', access: 'read-write' },
      { hostPath: '/b', path: '/tmp/b', access: 'read-only' },
    ])
    for (const text of [
      '/a:/',
      '/a:/proc/1',
      '/a:/dev',
      '/a:/b/../../etc',
      '/a:/b/',
      '/a://b',
      '/a:/./b',
      'name:/a',
      '/a:b',
    ])
      expect(() => parseRunVolumes([text]), text).toThrow()
  })

  it('of volumes are read-only unless told, and not where the build has its own', () => {
    expect(parseVolumes(['/a:/b', '/a:/c:rw'])).toEqual([
      { hostPath: '/a', path: '/b', access: 'read-only' },
      { hostPath: '/a', path: '/c', access: 'read-write' },
    ])
    for (const text of ['/a', 'name:/b', '/a:/cnb/x', '/a:/b:exec', '/a:/b:ro:x', '/a:b'])
      expect(() => parseVolumes([text]), text).toThrow()
  })

  it('of users and groups are numbers, and no user is root', () => {
    expect([parseId('1001', '--uid'), parseId('0', '--gid'), parseId(undefined, '--uid')]).toEqual([1001, 0, undefined])
    for (const text of ['0', 'root', '-1', '1.5', '4294967295', ''])
      expect(() => parseId(text, '--uid'), text).toThrow(/is not a user id/)
    expect(() => parseId('users', '--gid')).toThrow(/is not a group id/)
  })

  it('of registries are hosts with their ports', () => {
    expect(parseRegistries(['r.test:5000,http://s.test/v2', '[::1]:5000'], '--insecure-registry')).toEqual([
      'r.test:5000',
      's.test',
      '[::1]:5000',
    ])
    for (const text of ['', 'a b', 'r.test:x'])
      expect(() => parseRegistries([text], 'x'), text).toThrow(/not a registry/)
  })

  it('of platforms are Linux’s', () => {
    expect(parsePlatform('linux/arm/v7', '--target')).toEqual({ os: 'linux', architecture: 'arm', variant: 'v7' })
    for (const text of ['linux', 'windows/amd64', 'linux/a/b/c'])
      expect(() => parsePlatform(text, '--target')).toThrow()
  })

  it('of platforms to build for are two, each once', () => {
    const [amd64, arm64] = ['amd64', 'arm64'].map(architecture => ({ os: 'linux', architecture }))
    expect(parseBuildPlatforms(undefined)).toBeUndefined()
    expect(parseBuildPlatforms('linux/arm64')).toEqual([arm64])
    expect(parseBuildPlatforms('linux/arm64/v8,linux/amd64')).toEqual([arm64, amd64])
    for (const [text, message] of [
      ['linux/riscv64', 'Bale cannot build images for linux/riscv64'],
      ['linux/arm/v7', 'Bale cannot build images for linux/arm/v7'],
      ['linux/amd64/v3', 'Bale cannot build images for linux/amd64/v3'],
      ['linux/arm64,linux/arm64/v8', 'linux/arm64 is given twice'],
      ['linux/amd64,', '"" is not a platform'],
      ['arm64', '"arm64" is not a platform'],
      ['', '"" is not a platform'],
      ['windows/amd64', 'Bale makes images for Linux, not for windows'],
    ] as const)
      expect(() => parseBuildPlatforms(text), text).toThrow(message)
    expect(() => parseBuildPlatform('linux/amd64,linux/arm64', 'a plan is for one platform')).toThrow(
      /^a plan is for one/,
    )
  })

  it.each([
    [['build', 'app', '--platform', 'linux/riscv64'], /--platform: .*riscv64\nFix: write linux\/amd64 or linux\/arm64/],
    [['build', 'app', '--platform', 'linux/arm64', '--on', 'kubernetes'], /--platform: a pod builds/],
    [['build', 'app', '--platform', 'linux/amd64,linux/arm64', '--sbom-output-dir', 'x'], /--sbom-output-dir: /],
    [
      ['build', 'docker://r.test/app', '--on', 'kubernetes', '--retry', '3'],
      /--retry: a build on a cluster cannot do this/,
    ],
    [
      ['build', 'app', '--retry', 'many'],
      /--retry: "many" is not a number of retries\nFix: write a number from 0 to 999/,
    ],
    [['build', 'app', '--platform', 'linux/amd64,linux/arm64', '--dry-run'], /--platform: a plan is for one/],
    [['plan', 'app', '--platform', 'linux/amd64,linux/arm64'], /--platform: a plan is for one/],
    [['run', 'app', '--platform', 'linux/amd64,linux/arm64'], /--platform: one image is run/],
    [['stack', 'create', '--platform', 'linux/amd64,linux/arm64'], /--platform: a stack is for one/],
  ])('that cannot be meant are refused: %s', async (args, message) => {
    const { bale } = await user()
    const { code, err } = await bale(args)
    expect(err).toMatch(message)
    expect(code).toBe(2)
  })
})

describe('bale source', () => {
  it.each([
    [['--buildpack', 'a'], '--buildpack', '--order'],
    [['--pre-buildpack', 'a'], '--pre-buildpack', '--order'],
    [['--post-buildpack', 'a'], '--post-buildpack', '--order'],
    [['--run-image', 'a'], '--run-image', '--run'],
  ])('refuses %j by itself', async (args, where, other) => {
    const { bale } = await user()
    const { code, err } = await bale(['source', '.', '/nowhere/at/all', ...args])
    expect(err).toBe(`ERROR: ${where}: it has no effect without ${other}\nFix: add ${other} FILE, or leave it out\n`)
    expect(code).toBe(2)
  })

  it('says that a project chooses buildpacks, where their order would go nowhere', async () => {
    const { bale, home } = await user()
    const dir = join(home, 'app')
    await mkdir(dir)
    const text = '[_]\nschema-version = "0.2"\n[[io.buildpacks.group]]\nid = "acme/a"\n'
    await writeFile(join(dir, 'project.toml'), text)
    const { code, err } = await bale(['source', dir, join(home, 'out')])
    expect(err).toMatch(/^ERROR: .*project\.toml:3 .*: it selects buildpacks, .*\nFix: add --order FILE/)
    expect(code).not.toBe(0)
    expect(await stat(join(home, 'out')).catch(() => undefined)).toBeUndefined()
  })
})

describe('bale config in scripts for pack', () => {
  it.each([
    ['trusted-builders', 'add', 'acme/builder'],
    ['trusted-builders', 'list'],
    ['lifecycle-image', '--unset'],
    ['experimental', 'true'],
    ['registries', 'list'],
  ])('%s %s succeeds, and says that it changes nothing', async (...words) => {
    const { bale } = await user()
    const { code, out, err } = await bale(['config', ...words])
    expect([code, out + err]).toEqual([0, expect.stringContaining(`config ${words[0]} changes nothing`)])
  })

  it('takes mirrors for all registries', async () => {
    const { bale } = await user()
    const mirrors = ['config', 'registry-mirrors']
    expect((await bale([...mirrors, 'add', '*', '--mirror', 'mirror.example'])).code).toBe(0)
    expect((await bale([...mirrors, 'list'])).out).toBe('*: mirror.example\n')
    expect((await bale([...mirrors, 'add', '**', '--mirror', 'mirror.example'])).code).toBe(2)
  })
})

it('says that a packaged file has no further name, and that --flatten changes nothing', async () => {
  const { bale, home } = await user()
  await bale(['buildpack', 'new', 'acme/a', '--path', join(home, 'a'), '--version', '1.2.3'])
  const pack = ['buildpack', 'package', join(home, 'a.cnb'), '--path', join(home, 'a'), '--format', 'file']
  const tagged = await bale([...pack, '--tag', 'b'])
  expect([tagged.code, tagged.err]).toEqual([2, expect.stringContaining('a file has no name in a registry')])
  const { code, out, err } = await bale([...pack, '--flatten', 'acme/a@1.2.3'])
  expect([code, out + err]).toEqual([0, expect.stringContaining('--flatten changes nothing')])
  expect((await bale(['buildpack', 'inspect', join(home, 'a.cnb')])).out).toContain('acme/a 1.2.3')
})

it('says that images are made for platforms, not for distributions, in the notation of pack', async () => {
  const { bale } = await user()
  const { code, err } = await bale(['builder', 'create', 'b', '-c', 'x', '--target', 'linux/amd64:ubuntu@22.04'])
  expect([code, err]).toEqual([2, expect.stringContaining('write linux/amd64;')])
})

describe('bale buildpack', () => {
  it('new writes the platforms and distributions of --targets, in pack’s notation', async () => {
    const { bale, home } = await user()
    const targets = 'linux/amd64:ubuntu@22.04@24.04;debian,linux/arm64/v8'
    const made = await bale(['buildpack', 'new', 'acme/a', '--path', join(home, 'a'), '--targets', targets])
    expect(made.err).toBe('')
    expect(parseToml(await readFile(join(home, 'a/buildpack.toml'), 'utf8'), 'buildpack.toml')['targets']).toEqual([
      {
        os: 'linux',
        arch: 'amd64',
        distros: [{ name: 'ubuntu', version: '22.04' }, { name: 'ubuntu', version: '24.04' }, { name: 'debian' }],
      },
      { os: 'linux', arch: 'arm64', variant: 'v8' },
    ])
    const inspected = await bale(['buildpack', 'inspect', join(home, 'a')])
    expect(inspected.code, inspected.err).toBe(0)
  })

  it.each([
    [['new', 'acme/a', '--targets', 'linux/amd64:'], '"" in "linux/amd64:" is not a distribution'],
    [['new', 'acme/a', '--targets', 'linux/amd64:ubuntu@'], '"ubuntu@" in "linux/amd64:ubuntu@" is not a distribution'],
    [['new', 'acme/a', '--targets', 'linux:ubuntu@22.04'], '"linux" is not a platform'],
    [['new', 'acme/a', '--api', '9.9'], '--api: "9.9" is not a Buildpack API that Bale supports'],
    [['package', 'a', '--target', 'linux/amd64:ubuntu@22.04'], 'names distributions'],
    [['pull', 'urn:cnb:registry:acme/a'], 'is a name in an index of buildpacks, and Bale reads none'],
    [['pull', 'https://example.com/a.cnb'], 'is a file of a web server'],
    [['inspect', 'urn:cnb:registry:acme/a@1.0.0'], 'is a name in an index of buildpacks, and Bale reads none'],
  ])('%j is an error with its fix', async (args, message) => {
    const { bale } = await user()
    const ran = await bale(['buildpack', ...args])
    expect(ran.err).toContain(message)
    expect(ran.err).toContain('Fix: ')
    expect([2, 3]).toContain(ran.code)
  })
})
