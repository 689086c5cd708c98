import { describe, expect, it } from 'vitest'
import { kanikoFlags, parseFlags } from '../../lifecycle/cli/executor/flags.ts'
import { mapFlags } from '../../lifecycle/cli/executor/options.ts'
import { hostPlatform } from '../../lifecycle/stores/settings.ts'
import { parseCacheFrom, parseCacheTo } from '../../lifecycle/platform/cache-location.ts'
import { BaleError, exitStatus, inPhase, reworded } from '../../lifecycle/errors.ts'
import { withKanikoNames } from '../../lifecycle/cli/commands/executor.ts'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const map = (...argv: string[]) => mapFlags(parseFlags(argv))
const usage = (...argv: string[]) => {
  try {
    map(...argv)
  } catch (error) {
    if (error instanceof BaleError) return `${error.code}: ${error.where ?? ''} ${error.message}`
    throw error
  }
  return 'accepted'
}

describe('executor: a job of kaniko’s', () => {
  it('as GitLab documents it builds and pushes', () => {
    const call = map(
      '--context',
      '/builds/app',
      '--dockerfile',
      '/builds/app/Dockerfile',
      '--destination',
      'r.test/app:1',
    )
    expect(call.image).toBe('r.test/app:1')
    expect(call.options).toMatchObject({ path: '/builds/app', publish: true, tag: [] })
    expect(call.notes).toEqual([expect.stringContaining('no Dockerfile is read')])
  })

  it('sends an image to several registries, and to files beside them', () => {
    const { image, options } = map(
      '-d=a.test/x:1',
      '--destination=b.test/y:2',
      '--tar-path=/out/x.tar',
      '--oci-layout-path=/out/oci',
    )
    expect([image, options.tag]).toEqual([
      'a.test/x:1',
      ['b.test/y:2', 'docker-archive:/out/x.tar:a.test/x:1', 'oci:/out/oci'],
    ])
  })

  it('pushes nothing with --no-push', () => {
    expect(map('--no-push').image).toBe('bale.local/executor')
    expect(map('--no-push', '-d', 'r.test/x').options.publish).toBe(false)
    const { image, options } = map('--no-push', '--tarPath=/x.tar', '-d', 'r.test/x:1')
    expect([image, options.tag]).toEqual(['docker-archive:/x.tar:r.test/x:1', []])
    expect(map('--no-push=false', '-d', 'r.test/x').options.publish).toBe(true)
  })

  it('keeps a cache where kaniko has one, if asked to', () => {
    const cache = (...argv: string[]) => {
      const { cacheFrom, cacheTo } = map('-d', 'r.test/team/app:1', ...argv).options
      return { cacheFrom, cacheTo }
    }
    const own = 'type=registry,ref=r.test/team/app/cache'
    expect(cache()).toEqual({ cacheFrom: undefined, cacheTo: undefined })
    expect(cache('--cache')).toEqual({ cacheFrom: [own], cacheTo: [own] })
    const other = 'type=registry,ref=r.test/c'
    expect(cache('--cache=true', '--cache-repo', 'r.test/c', '--cache-ttl=1h30m0s')).toEqual({
      cacheFrom: [other],
      cacheTo: [`${other},ttl=90m`],
    })
    expect(cache('--cache=true', '--no-push-cache')).toEqual({ cacheFrom: [own], cacheTo: [] })
    expect(map('-d', 'r.test/app', '--cache=true', '--cache-dir', '/cache').cacheDir).toBe('/cache')
    for (const { cacheFrom = [], cacheTo = [] } of [cache('--cache'), cache('--cache', '--cache-ttl=336h')]) {
      expect(cacheFrom.map(text => parseCacheFrom(text, {}).type)).toEqual(['registry'])
      expect(cacheTo.map(text => parseCacheTo(text, {}).type)).toEqual(['registry'])
    }
  })

  it('makes no image for another machine than the one that is asked for', () => {
    const own = `linux/${hostPlatform().architecture}`
    expect(map('-d', 'r.test/x', '--custom-platform', own).notes).toEqual([])
    for (const flag of ['--custom-platform', '--customPlatform'])
      expect(() => map('-d', 'r.test/x', flag, 'linux/s390x')).toThrow(`an image for ${own}`)
  })

  it('takes the branch of --git into the address of a repository', () => {
    const pathOf = (...args: string[]) => map('-d', 'r.test/x', ...args).options.path
    const git = 'git://git.test/app.git'
    expect(pathOf('-c', git, '--git', 'branch=next,single-branch=true')).toBe(`${git}#refs/heads/next`)
    expect(pathOf('-c', `${git}#refs/heads/next`, '--git=branch=next')).toBe(`${git}#refs/heads/next`)
    expect(pathOf('-c', git, '--git', 'branch=,recurse-submodules=false')).toBe(git)
    expect(pathOf('-c', '/src', '--git', 'branch=next')).toBe('/src')
  })

  it.each([
    [['--git', 'branch=next', '-c', 'git://git.test/app.git#refs/heads/main'], 'another branch'],
    [['--git', 'recurse-submodules=true'], 'does not do this'],
    [['--git', 'insecure-skip-tls=true'], 'does not do this'],
    [['--bucket', 'builds'], 'reads no buckets'],
  ])('refuses %j rather than build another source', (args, message) => {
    expect(() => map('-d', 'r.test/x', ...args)).toThrow(message)
  })

  it('gives secrets to buildpacks', () => {
    const secret = 'id=npm,src=/run/npmrc'
    expect(map('-d', 'r.test/x', '--secret', secret).options.secret).toEqual([secret])
  })

  it('reaches registries as it is told', () => {
    const { registries, attempts } = map(
      ...[
        '-d',
        'r.test/x',
        '--insecure-registry=a.test:5000',
        '--skip-tls-verify-registry',
        'b.test',
        '--push-retry=3',
      ],
      ...[
        '--registry-mirror',
        'm.test',
        '--registry-mirror=n.test/hub',
        '--registry-map',
        'gcr.io=g.test;quay.io=q.test',
      ],
      ...['--registry-certificate', 'c.test=/ca.pem', '--registry-client-cert', 'c.test=/cert.pem,/key.pem'],
      ...['--skip-default-registry-fallback', '--image-download-retry', '1'],
    )
    expect(attempts).toBe(4)
    expect(registries).toEqual({
      'a.test:5000': { insecure: true },
      'b.test': { skipTlsVerify: true },
      'index.docker.io': { mirrors: ['m.test', 'n.test/hub'], onlyMirrors: true },
      'gcr.io': { mirrors: ['g.test'], onlyMirrors: true },
      'quay.io': { mirrors: ['q.test'], onlyMirrors: true },
      'c.test': { ca: '/ca.pem', clientCert: '/cert.pem', clientKey: '/key.pem' },
    })
    expect(map('-d', 'r.test/x', '--insecure', '--skip-tls-verify').registries).toEqual({
      '*': { insecure: true, skipTlsVerify: true },
    })
    expect(map('-d', 'r.test/x', '--push-ignore-immutable-tag-errors').registries).toEqual({
      '*': { keepImmutableTags: true },
    })
  })

  it('has its words for the log', () => {
    expect(map('--no-push', '-v', 'debug').options).toMatchObject({ verbose: true, quiet: false, logFormat: 'text' })
    expect(map('--no-push', '--verbosity=warn', '--log-format=json').options).toMatchObject({
      quiet: true,
      logFormat: 'json',
    })
    expect(map('--no-push', '--log-timestamp').options.logTimestamps).toBe(true)
  })

  it('asks credential helpers as it is told', () => {
    const helpers = (...argv: string[]) => map('--no-push', ...argv).knownHelpers
    expect(helpers()).toEqual(['gitlab'])
    expect(helpers('--credential-helpers=')).toEqual([])
    expect(helpers('--credential-helpers', 'ecr', '--credential-helpers=google,acr')).toEqual(['ecr', 'google', 'acr'])
    const { knownHelpers, notes } = map('--no-push', '--credential-helpers=env,gitlab')
    expect(knownHelpers).toEqual(['gitlab'])
    expect(notes).toEqual([expect.stringContaining('CNB_REGISTRY_AUTH')])
  })

  it('compresses as it is told', () => {
    const compression = (...argv: string[]) => {
      const { compression, compressionLevel } = map('--no-push', ...argv).options
      return [compression, compressionLevel]
    }
    expect(compression()).toEqual([undefined, undefined])
    expect(compression('--compression=zstd', '--compression-level=19')).toEqual(['zstd', '19'])
    expect(compression('--compression-level', '9')).toEqual([undefined, '9'])
    expect(compression('--compression-level=-1')).toEqual([undefined, undefined])
  })

  it('says what takes the place of what Bale does not do', () => {
    const { notes, options } = map(
      '--no-push',
      '--target=x',
      '--build-arg',
      'A=1',
      '--skip-push-permission-check',
      '--cleanup',
    )
    expect(notes).toHaveLength(3)
    expect(options.env).toEqual(['A=1'])
  })
})

describe('executor: bad input', () => {
  it.each([
    [['--destinaton=x'], 'usage:  executor has no flag "--destinaton"'],
    [['Dockerfile'], 'usage:  executor has no flag "Dockerfile"'],
    [['--destination'], 'usage: --destination the value is missing'],
    [[], 'usage: --destination the image has no destination'],
    [['--no-push=maybe'], 'usage: --no-push "maybe" is not true or false'],
    [['--no-push', '--verbosity=loud'], 'usage: --verbosity "loud" is not known'],
    [['--no-push', '--log-format=xml'], 'usage: --log-format "xml" is not known'],
    [['--no-push', '--compression=xz'], 'usage: --compression "xz" is not a known compression'],
    [
      ['--no-push', '--credential-helpers=vault'],
      'usage: --credential-helpers "vault" is not a known credential helper',
    ],
    [['--no-push', '--push-retry=-1'], 'usage: --push-retry "-1" is not a number of retries'],
    [['--no-push', '-d=r.test/x', '--cache', '--cache-ttl=soon'], 'usage: --cache-ttl "soon" is not a duration'],
    [['--no-push', '--registry-map=x'], 'usage: --registry-map "x" does not name a registry'],
    [['--no-push', '--registry-certificate', '=/x'], 'usage: --registry-certificate "=/x" does not name a registry'],
    [['--__proto__=x'], 'usage:  executor has no flag "--__proto__"'],
  ])('%j', (argv, message) => {
    expect(usage(...argv)).toBe(message)
  })

  it('is a destination that is none', () => {
    expect(usage('-d', 'UPPER/x:y:z')).toMatch(/^arguments: /)
  })
})

describe('executor: an error of the build', () => {
  it('names kaniko’s flags in all its parts, and stays the same failure', async () => {
    const cause = new Error('refused')
    const thrown = inPhase('export', () => {
      throw new BaleError('registry', '--retry is too small', { where: '--tag=x', fix: 'raise --retry.', cause })
    })
    const error = await thrown.catch((e: unknown) => e)
    if (!(error instanceof BaleError)) throw error
    const told = reworded(error, withKanikoNames)
    expect(told).toMatchObject({ code: 'registry', message: '--push-retry is too small', cause })
    expect(told).toMatchObject({ where: '--destination=x', fix: 'raise --push-retry.' })
    expect(exitStatus(told)).toBe(62)
    expect(error.message).toBe('--retry is too small')
  })

  it.each(['/src/x--path', '/src/--path', '--path/x', '--path.txt', '--paths', 'no--tag', '--pathX'])(
    'keeps %j, which is not a flag',
    text => {
      expect(withKanikoNames(text)).toBe(text)
      const error = new BaleError('input', text, { where: text })
      expect(reworded(error, withKanikoNames)).toBe(error)
    },
  )
})

it('docs/from-kaniko.md has a row for every flag', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/from-kaniko.md'), 'utf8')
  const missing = Object.keys(kanikoFlags).filter(name => !page.includes(`\`--${name}\``))
  expect(missing).toEqual([])
})
