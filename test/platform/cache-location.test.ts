import { describe, expect, it } from 'vitest'
import { parseCacheFrom, parseCacheTo } from '../../lifecycle/platform/cache-location.ts'
import { cacheLocations } from '../../lifecycle/platform/shared-caches.ts'
import { settings } from '../../lifecycle/platform/settings.ts'

describe('--cache-from and --cache-to', () => {
  it.each([
    ['ghcr.io/me/cache', {}, { type: 'registry', ref: 'ghcr.io/me/cache' }],
    ['type=registry,ref=ghcr.io/me/cache:main', {}, { type: 'registry', ref: 'ghcr.io/me/cache:main' }],
    ['type=local,src=/tmp/c,name=app', {}, { type: 'local', dir: '/tmp/c', name: 'app' }],
    ['type=s3,bucket=b,region=eu-central-1', {}, { type: 's3', bucket: 'b', region: 'eu-central-1' }],
    [
      'type=s3,bucket=b,prefix=x/y',
      { AWS_REGION: 'r', AWS_ENDPOINT_URL: 'http://h' },
      { region: 'r', endpoint: 'http://h', prefix: 'x/y' },
    ],
    ['type=http,url=https://u:p@h/c', {}, { type: 'http', url: 'https://u:p@h/c', text: 'type=http,url=…' }],
    [
      'type=http,url-env=CACHE_URL',
      { CACHE_URL: 'https://h' },
      { url: 'https://h', text: 'type=http,url-env=CACHE_URL' },
    ],
    ['type=redis,url=redis://h', {}, { type: 'redis', maxSize: 256_000_000 * 1.048576, timeToLive: 604_800_000 }],
    ['type=redis,url=redis://h,max-size=10MB,ttl=12h', {}, { maxSize: 10_000_000, timeToLive: 43_200_000 }],
  ])('%s', (text, env, location) => {
    expect(parseCacheFrom(text, env)).toMatchObject(location)
  })

  it.each([
    ['type=local,dest=/c', { mode: 'max', required: false }],
    ['type=local,dest=/c,mode=min', { mode: 'min', required: false }],
    ['type=local,dest=/c,mode=max,required', { mode: 'max', required: true }],
    ['type=local,dest=/c,required=true', { required: true }],
    ['type=local,dest=/c,ignore-error=false', { required: true }],
    ['type=local,dest=/c,ignore-error=true', { required: false }],
    ['type=local,dest=/c,ttl=2w', { timeToLive: 1_209_600_000 }],
  ])('to %s', (text, destination) => {
    expect(parseCacheTo(text, {})).toMatchObject(destination)
  })

  it.each([
    ['type=ftp,url=x', 'the type "ftp" is unknown'],
    ['mode=max', 'the type "" is unknown'],
    ['type=local', 'src is missing'],
    ['type=local,dest=/c', 'src is missing'],
    ['type=local,src=', 'src is empty'],
    ['type=local,src=a,src=b', 'src is given twice'],
    ['type=local,src=a,mode=max', /^mode is unknown for the type local/],
    ['type=s3', 'bucket is missing'],
    ['type=http', 'url is missing'],
    ['type=http,url-env=NOT_THERE', 'url-env names the variable NOT_THERE, which is not set'],
    ['type=http,url=a,url-env=B', 'url and url-env cannot be combined'],
    ['type=redis,url=redis://h,max-size=lots', 'max-size must be a size such as 500MB'],
    ['type=local,src=a,ttl=soon', 'ttl must be a duration such as 12h, 7d or 2w'],
    ['type=local,src=a,=b', 'it is not a list of key=value'],
  ])('refuses %s', (text, message) => {
    expect(() => parseCacheFrom(text, {})).toThrow(message)
    expect(() => parseCacheFrom(text, {})).toThrow(
      expect.objectContaining({ code: 'usage', where: '--cache-from' }) as Error,
    )
  })

  it.each([
    ['type=local,dest=a,mode=most', 'mode must be one of max and min'],
    ['type=local,dest=a,required=perhaps', 'required must be one of true and false'],
    ['type=local,dest=a,required,ignore-error=true', 'required and ignore-error cannot be combined'],
  ])('refuses to write to %s', (text, message) => {
    expect(() => parseCacheTo(text, {})).toThrow(message)
  })

  it('K17 shows no password of a URL', () => {
    const secret = 'hunter2'
    for (const text of [`type=http,url=https://u:${secret}@h,ttl=x`, `type=redis,url=redis://:${secret}@h,max-size=y`])
      expect(() => parseCacheFrom(text, {})).not.toThrow(secret)
  })

  it('exclude a cache image', () => {
    const options = { settings: settings({ HOME: '/h' }), cacheImage: 'r/c', cacheTo: ['r/d'] }
    expect(() => cacheLocations(options)).toThrow('a cache image replaces all other caches')
  })
})
