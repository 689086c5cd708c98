import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, bale, freePort, root, type Running, startBale } from './helpers/bale.ts'

// What nginx makes of the configuration that the static buildpack writes.

describe('a static site', () => {
  const image = 'bale-test-static-site'
  let running: Running
  let origin: string

  beforeAll(async () => {
    const built = await bale(['build', image, '--path', join(root, 'test/apps/static-public')])
    expect(built.code, built.output).toBe(0)
    origin = `http://127.0.0.1:${await freePort()}`
    running = startBale(['run', image, '--env', `PORT=${new URL(origin).port}`])
    await ask(origin, () => running.child.exitCode === null)
  })
  afterAll(() => running?.child.kill('SIGKILL'))

  const get = (path: string, headers: Record<string, string> = {}) =>
    fetch(`${origin}${path}`, { headers, redirect: 'manual' })

  it.each([
    ['/about', 200, 'About'],
    ['/docs/', 200, 'Documents'],
    ['/app/cart', 200, 'Served by nginx'],
    ['/nothing', 404, 'the 404 of the site'],
    ['/gone/x', 410, ''],
    ['/_headers', 404, ''],
    ['/_redirects', 404, ''],
    ['/.well-known/security.txt', 200, 'contact'],
    ['/.env', 404, ''],
    ['/assets/no.js', 404, ''],
  ])('answers %s with %d', async (path, status, text) => {
    const response = await get(path)
    expect(response.status).toBe(status)
    expect(await response.text()).toContain(text)
  })

  it.each([
    ['/old', 301, '/about'],
    ['/old/?x=1', 301, '/about?x=1'],
    ['/blog/a/b?x=1', 302, '/docs/a/b?x=1'],
    ['/item/7/view', 307, '/docs/?id=7'],
    ['/docs', 301, '/docs/'],
    // Neither a line of a header nor another host.
    ['/blog/a%0d%0aSet-Cookie:x', 302, '/docs/a%0d%0aSet-Cookie:x'],
    ['/blog//evil.example', 302, '/docs/evil.example'],
  ])('leads from %s with %d to %s', async (path, status, location) => {
    const response = await get(path)
    expect({ status: response.status, location: response.headers.get('location') }).toEqual({ status, location })
  })

  it('says 304 for what has not changed, by its content', async () => {
    const etag = (await get('/about')).headers.get('etag') ?? ''
    expect(etag).toMatch(/^W\/"[0-9a-f]{20}"$/)
    for (const path of ['/about', '/about.html']) {
      const unchanged = await get(path, { 'if-none-match': `"x", ${etag}` })
      expect(unchanged.status).toBe(304)
      expect(unchanged.headers.get('cache-control')).toBe('no-cache')
    }
    expect((await get('/', { 'if-none-match': etag })).status).toBe(200)
    // All files of an image have one time.
    const since = await get('/', { 'if-modified-since': new Date().toUTCString() })
    expect(since.status).toBe(200)
    expect(since.headers.has('last-modified')).toBe(false)
  })

  it('keeps a file whose name changes with it for a year', async () => {
    expect((await get('/assets/site-3f9c2a71.css')).headers.get('cache-control')).toContain('immutable')
    expect((await get('/')).headers.get('cache-control')).toBe('no-cache')
  })

  it.each(['br', 'gzip'])('has files compressed with %s', async encoding => {
    const response = await get('/assets/site-3f9c2a71.css', { 'accept-encoding': encoding })
    expect(response.headers.get('content-encoding')).toBe(encoding)
    expect(response.headers.get('vary')).toContain('Accept-Encoding')
    expect(await response.text()).toContain('.column-12')
  })

  it('sends the headers of _headers', async () => {
    const headersOf = async (path: string) => {
      const { headers } = await get(path)
      return [headers.get('x-frame-options'), headers.get('x-robots-tag'), headers.get('x-content-type-options')]
    }
    expect(await headersOf('/')).toEqual(['DENY', null, 'nosniff'])
    expect(await headersOf('/docs/')).toEqual(['SAMEORIGIN', 'noindex', 'nosniff'])
    expect(await headersOf('/nothing')).toEqual(['DENY', null, 'nosniff'])
  })

  it('has variables of the image in the start page, whose ETag is another then', async () => {
    const other = `http://127.0.0.1:${await freePort()}`
    const env = [`PORT=${new URL(other).port}`, 'PUBLIC_WEB_API_URL=https://api.example/?a=1&b="2"']
    const second = startBale(['run', image, ...env.flatMap(pair => ['--env', pair])])
    try {
      await ask(other, () => second.child.exitCode === null)
      const etag = (await get('/')).headers.get('etag') ?? ''
      for (const path of ['/', '/index.html', '/index', '/app/cart']) {
        const page = await fetch(`${other}${path}`, {
          headers: { 'if-none-match': etag, 'accept-encoding': 'br, gzip' },
        })
        expect(page.status, path).toBe(200)
        expect(page.headers.get('etag'), path).not.toBe(etag)
        expect(page.headers.get('x-frame-options'), path).toBe('DENY')
        expect(await page.text(), path).toContain(
          '<head data-public_web_api_url="https://api.example/?a=1&amp;b=&quot;2&quot;">',
        )
      }
      expect(await (await get('/')).text()).not.toContain('public_web')
      expect(await (await fetch(`${other}/about`)).text()).not.toContain('public_web')
    } finally {
      second.child.kill('SIGTERM')
      await second.ended
    }
  })

  it('ends on SIGTERM', async () => {
    running.child.kill('SIGTERM')
    expect((await running.ended).code).toBeLessThan(144)
  })
})
