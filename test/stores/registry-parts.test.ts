import { describe, expect, it } from 'vitest'
import { BaleError } from '../../lifecycle/errors.ts'
import {
  checkReach,
  isLoopbackHost,
  mayLackTls,
  mayReach,
  reachOf,
  watchedLookup,
} from '../../lifecycle/stores/registry/addresses.ts'
import { parseChallenges } from '../../lifecycle/stores/registry/challenge.ts'
import { defaultLimits } from '../../lifecycle/stores/registry/limits.ts'
import { proxySettings } from '../../lifecycle/stores/registry/proxy.ts'
import { Transient, parseRetryAfter, retrying } from '../../lifecycle/stores/registry/retry.ts'
import { Secrets, escaped, redacted } from '../../lifecycle/stores/registry/redact.ts'
import { refusal } from '../helpers/registry/set-up.ts'

// The oracle: no address within reach of a registry is nearer than its own; what is malformed says nothing, or is shown without
// what could be secret.

describe('reachOf', () => {
  it.each([
    ['8.8.8.8', 'public'],
    ['2606:4700::1', 'public'],
    ['10.1.2.3', 'private'],
    ['172.16.0.1', 'private'],
    ['172.32.0.1', 'public'],
    ['192.168.1.1', 'private'],
    ['100.64.0.1', 'private'],
    ['fd12::1', 'private'],
    ['127.0.0.1', 'loopback'],
    ['127.255.255.254', 'loopback'],
    ['::1', 'loopback'],
    ['0.0.0.0', 'special'],
    ['::', 'special'],
    ['169.254.169.254', 'special'],
    ['fd00:ec2::254', 'special'],
    ['fe80::1%eth0', 'special'],
    ['224.0.0.1', 'special'],
    ['255.255.255.255', 'special'],
    // IPv4 in the clothes of IPv6.
    ['::ffff:127.0.0.1', 'loopback'],
    ['::ffff:a9fe:a9fe', 'special'],
    ['::127.0.0.1', 'loopback'],
    ['64:ff9b::10.0.0.1', 'private'],
    ['64:ff9b::8.8.8.8', 'public'],
    ['2002:7f00:1::', 'loopback'],
    ['2002:808:808::1', 'public'],
  ])('%s is %s', (address, reach) => expect(reachOf(address)).toBe(reach))

  it('R12 R17 decides where a registry may send us', () => {
    expect(mayReach('public', 'public')).toBe(true)
    expect(mayReach('private', 'public')).toBe(false)
    expect(mayReach('loopback', 'private')).toBe(false)
    expect(mayReach('private', 'loopback')).toBe(true)
    expect(mayReach('special', 'loopback')).toBe(false)
  })

  it('R12 looks at each address that a name has, before one is dialled', async () => {
    expect(await refusal(() => checkReach('evil.example.com', ['8.8.8.8', '10.0.0.1'], 'public', 'tokens'))).toBe(
      'the registry names evil.example.com (10.0.0.1), a private address, for tokens: not asked',
    )
    const seen: string[] = []
    const looking = new Promise((resolve, reject) => {
      const lookup = watchedLookup((host, addresses) => {
        seen.push(host, ...addresses)
        throw new BaleError('registry', 'refused')
      })
      lookup('localhost', { all: true }, (error, address) => (error ? reject(error) : resolve(address)))
    })
    await expect(looking).rejects.toThrow('refused')
    expect(seen[0]).toBe('localhost')
    expect(['127.0.0.1', '::1']).toContain(seen[1])
  })

  it.each([
    ['localhost:5000', true, true],
    ['app.localhost', true, true],
    ['127.0.0.1:5000', true, true],
    ['[::1]:5000', true, true],
    ['192.168.1.1:5000', false, true],
    ['10.1.2.3', false, true],
    ['172.31.0.1', false, true],
    ['[fd12::1]:5000', false, true],
    ['registry.default.svc.cluster.local:5000', false, true],
    ['localhost.example.com', false, false],
    ['10.0.0.1.example.com', false, false],
    ['registry.local.example.com', false, false],
    ['172.32.0.1', false, false],
    ['169.254.169.254', false, false],
    ['registry.example.com', false, false],
  ])('%s is on this machine: %s, and may do without TLS: %s', (host, loopback, plain) => {
    expect(isLoopbackHost(new URL(`http://${host}`))).toBe(loopback)
    expect(mayLackTls(new URL(`http://${host}`))).toBe(plain)
  })
})

describe('parseChallenges', () => {
  const parse = (...headers: string[]) =>
    parseChallenges(headers).map(c => [c.scheme, Object.fromEntries(c.parameters)])

  it('reads what registries send', () => {
    expect(
      parse(
        'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/ubuntu:pull"',
      ),
    ).toEqual([
      [
        'bearer',
        {
          realm: 'https://auth.docker.io/token',
          service: 'registry.docker.io',
          scope: 'repository:library/ubuntu:pull',
        },
      ],
    ])
    expect(parse('Basic realm="Sonatype Nexus Repository Manager"')).toEqual([
      ['basic', { realm: 'Sonatype Nexus Repository Manager' }],
    ])
    expect(parse('BASIC')).toEqual([['basic', {}]])
  })

  it('reads several, in one header or in many', () => {
    const both = [
      ['bearer', { realm: 'x' }],
      ['basic', { realm: 'y' }],
    ]
    expect(parse('Bearer realm="x", Basic realm="y"')).toEqual(both)
    expect(parse('Bearer realm="x"', 'Negotiate', 'Basic realm=y')).toEqual(both)
    expect(parse('Negotiate abc==, Bearer realm = "x" , Basic realm="y"')).toEqual(both)
  })

  it('reads quoted commas, quotes and upper-case names', () => {
    expect(parse('Bearer Realm="a, b \\"c\\"",SCOPE="x:y:pull,push"')).toEqual([
      ['bearer', { realm: 'a, b "c"', scope: 'x:y:pull,push' }],
    ])
  })

  it('R13 stops where a header is malformed', () => {
    expect(parse('Bearer realm="x')).toEqual([['bearer', {}]])
    expect(parse('', ',', '"', '=x', '🙂')).toEqual([])
    expect(parse(`Bearer realm="${'\\'.repeat(50_000)}`)).toEqual([['bearer', {}]])
  })
})

describe('parseRetryAfter', () => {
  const now = Date.parse('2026-01-01T00:00:00Z')
  it.each([
    [undefined, undefined],
    ['0', 0],
    ['120', 120_000],
    ['315360000', 315_360_000_000],
    ['-1', undefined],
    ['1.5', undefined],
    ['', undefined],
    ['soon', undefined],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
    ['Wed, 31 Dec 2025 23:59:00 GMT', undefined],
    ['Thursday, 01-Jan-26 00:01:00 GMT', 60_000],
    ['9'.repeat(400), undefined],
  ])('R19 %s', (header, milliseconds) => expect(parseRetryAfter(header, now)).toBe(milliseconds))
})

describe('retrying', () => {
  const limits = { ...defaultLimits, attempts: 4, firstPause: 10, longestPause: 25 }
  const failing = (times: number) => {
    const at: number[] = []
    const work = () => {
      at.push(performance.now())
      if (at.length <= times) return Promise.reject(new Transient(new BaleError('registry', `failure ${at.length}`)))
      return Promise.resolve('done')
    }
    return { at, work }
  }

  it('pauses longer each time, up to the longest', async () => {
    const { at, work } = failing(3)
    expect(await retrying(work, limits)).toBe('done')
    const pauses = at.slice(1).map((time, i) => time - at[i]!)
    for (const [i, least] of [5, 10, 12.5].entries()) {
      expect(pauses[i]).toBeGreaterThanOrEqual(least - 1.5)
      expect(pauses[i]).toBeLessThan(500)
    }
  })

  it('ends with the last failure', async () => {
    expect(await refusal(retrying(failing(9).work, limits))).toBe('failure 4')
  })

  it('stops while it pauses', async () => {
    const reason = new BaleError('cancelled', 'stopped')
    const controller = new AbortController()
    setTimeout(() => controller.abort(reason), 10)
    const slow = { ...limits, firstPause: 60_000, longestPause: 60_000 }
    await expect(retrying(failing(9).work, slow, controller.signal)).rejects.toBe(reason)
  })
})

describe('proxySettings', () => {
  it.each([
    [{}, {}],
    [
      { HTTPS_PROXY: 'a', HTTP_PROXY: 'b', NO_PROXY: 'c' },
      { https: 'a', http: 'b', no: 'c' },
    ],
    [{ HTTPS_PROXY: 'a', https_proxy: 'b' }, { https: 'b' }],
    [{ HTTPS_PROXY: 'a', https_proxy: '' }, { https: 'a' }],
  ])('reads %j', (environment, settings) => expect(proxySettings(environment)).toEqual(settings))
})

describe('words', () => {
  it('K08 K10 shows a URL without what may be secret', () => {
    const shown = (url: string) => redacted(new URL(url))
    expect(shown('https://user:hunter2@host:8443/v2/x?digest=sha256:a#hunter2')).toBe(
      'https://host:8443/v2/x?digest=sha256:a',
    )
    expect(shown('https://s3.example.com/b?X-Amz-Signature=hunter2&X-Amz-Date=1')).toBe('https://s3.example.com/b?…')
    expect(shown('https://host/v2/x/blobs/uploads/1?_state=hunter2&digest=sha256:a')).toBe(
      'https://host/v2/x/blobs/uploads/1?digest=sha256:a&…',
    )
    expect(shown(`https://host/${'x'.repeat(10_000)}`).length).toBeLessThan(600)
  })

  it('escapes what would drive a terminal', () => {
    expect(escaped('a\nb\u001b[2J\u202e\u0085')).toBe('a\\u000ab\\u001b[2J\\u202e\\u0085')
    expect(escaped('x'.repeat(1000))).toHaveLength(301)
  })

  it('hides known secrets, but not every letter', () => {
    const secrets = new Secrets()
    secrets.add('hunter2', 'a', '')
    expect(secrets.hide('a hunter2 and hunter2')).toBe('a *** and ***')
  })
})
