import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { certificateFor } from '../helpers/certificate.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import { bytesOf, configOf, noise, platform, sourceOf } from '../helpers/images.ts'
import type { Answer } from '../helpers/registry.ts'
import { startProxy } from '../helpers/proxy.ts'
import { connect, credentialsOf, refusal, secret, seed, serve } from '../helpers/registry/set-up.ts'

// The oracle: who cannot prove to be the registry, or leads us where it must not, is refused in one line without a secret, and
// nothing is sent there.

async function proxyTo(host: string, login?: string) {
  const proxy = await startProxy(host, login)
  onTestFinished(() => proxy.close())
  return proxy
}

describe('TLS', () => {
  const good = certificateFor('127.0.0.1')

  it('is spoken where the registry can', async () => {
    const server = await serve({ tls: good })
    await seed(server)
    const { store } = connect(server.host, { ca: [good.cert] })
    const image = await store.pull('v1', platform)
    expect(await bytesOf(image!.layers[0]!.open())).toHaveLength(image!.layers[0]!.size)
  })

  it.each([
    ['expired', certificateFor('127.0.0.1', { days: -1 }), 'CERT_HAS_EXPIRED'],
    ['for another host', certificateFor('other.example.com'), 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ])('R39 with a certificate that is %s is refused, and http is not tried', async (_what, tls, code) => {
    const server = await serve({ tls })
    const { store } = connect(server.host, { ca: [tls.cert] })
    const line = await refusal(store.pull('v1', platform))
    expect(line).toContain('the certificate is not trusted')
    expect(line).toContain(code)
    expect(server.requests).toEqual([])
  })

  it('R39 with a certificate of nobody known is refused, unless the registry is called insecure', async () => {
    const server = await serve({ tls: good })
    await seed(server)
    expect(await refusal(connect(server.host).store.pull('v1', platform))).toContain('DEPTH_ZERO_SELF_SIGNED_CERT')
    expect(await connect(server.host, { insecure: true }).store.pull('v1', platform)).toBeDefined()
  })

  it('R39 is checked at the storage of an insecure registry, too', async () => {
    const storage = await serve({ tls: certificateFor('localhost') })
    const server = await serve({ redirectBlobsTo: `https://localhost:${storage.host.split(':')[1]}` })
    await seed(server)
    const { store } = connect(server.host, { insecure: true })
    expect(await refusal(store.pull('v1', platform))).toContain('the certificate is not trusted')
    expect(storage.requests).toEqual([])
  })

  it('R39 R17 is not given up for a redirect to http', async () => {
    const [server, plain] = [await serve({ tls: good }), await serve()]
    await seed(server)
    server.faults = ({ url }) =>
      url.pathname.includes('/blobs/')
        ? { answer: { status: 307, headers: { location: `http://localhost:${plain.host.split(':')[1]}/x` } } }
        : undefined
    const line = await refusal(connect(server.host, { ca: [good.cert] }).store.pull('v1', platform))
    expect(line).toContain('redirects from https:// to http://, which Bale does not follow')
    expect(plain.requests).toEqual([])
  })

  it('R24 is kept where a proxy before the registry lets it name http', async () => {
    const server = await serve({ tls: good })
    server.faults = ({ method }) =>
      method === 'POST'
        ? { edit: a => ({ ...a, headers: { location: `http://${server.host}${String(a.headers?.location)}` } }) }
        : undefined
    await connect(server.host, { ca: [good.cert] }).store.checkWrite(['v1'])
    expect(server.lines.at(-1)).toBe('DELETE /v2/team/app/blobs/uploads/upload-0')
  })

  it('R11 is wanted of the token server, too', async () => {
    const plain = await serve()
    const login = { username: 'ann', password: secret }
    const server = await serve({ tls: good, auth: { scheme: 'bearer', ...login, realm: `${plain.url}/token` } })
    const { store } = connect(server.host, {
      ca: [good.cert],
      credentials: credentialsOf({ kind: 'password', ...login }),
    })
    expect(await refusal(store.checkWrite(['v1']))).toContain(
      'where others could read the password; Bale does not use it',
    )
    expect(plain.requests).toEqual([])
  })
})

describe('a token server that a registry names over https, where it may be another host', () => {
  const good = certificateFor('127.0.0.1')
  const login = { username: 'ann', password: secret }

  it.each([
    ['https://169.254.169.254/latest/api/token', 'names 169.254.169.254, a special address, for tokens: not asked'],
    ['https://0.0.0.0/token', 'names 0.0.0.0, a special address'],
    ['https://[::ffff:169.254.169.254]/token', 'a special address, for tokens: not asked'],
    ['https://[::ffff:0.0.0.0]/token', 'a special address'],
    ['https://[fd00:ec2::254]/token', 'a special address'],
    [`https://ann:${secret}@127.0.0.1/token`, 'with a user name in the URL; Bale does not use it'],
    ['file:///etc/passwd', 'neither https nor http; Bale does not use it'],
  ])('R11 R12 is not asked at %s, and no password leaves', async (realm, why) => {
    const server = await serve({ tls: good, auth: { scheme: 'bearer', ...login, realm } })
    const credentials = credentialsOf({ kind: 'password', ...login })
    const { store } = connect(server.host, { ca: [good.cert], credentials })
    expect(await refusal(store.pull('v1', platform))).toContain(why)
    expect(server.requests.filter(r => r.headers.authorization !== undefined)).toEqual([])
  })

  it('R10 R39 is asked nothing where its certificate is not trusted', async () => {
    const tokens = await serve({ tls: certificateFor('localhost') })
    const realm = `https://localhost:${tokens.host.split(':')[1]}/token`
    const server = await serve({ tls: good, auth: { scheme: 'bearer', ...login, realm } })
    await seed(server)
    const credentials = credentialsOf({ kind: 'password', ...login })
    const { store } = connect(server.host, { ca: [good.cert], credentials })
    expect(await refusal(store.pull('v1', platform))).toContain('the certificate is not trusted')
    expect(tokens.requests).toEqual([])
  })
})

describe('a registry that is not there', () => {
  it.each([
    ['127.0.0.1:1', 'no server listens there (ECONNREFUSED) | check that the registry runs'],
    ['registry.invalid', 'the host does not exist (ENOTFOUND) | check the name'],
  ])('%s', async (host, why) => {
    const line = await refusal(connect(host).store.pull('v1', platform))
    expect(line).toContain(why)
    expect(line).toMatch(/^GET https?:/)
  })

  it('hangs up on whoever calls', async () => {
    const server = createServer(socket => socket.destroy())
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const { port } = server.address() as AddressInfo
    expect(await refusal(connect(`127.0.0.1:${port}`).store.pull('v1', platform))).toMatch(
      /the connection was (reset|closed)/,
    )
  })

  it('speaks something other than HTTP', async () => {
    const server = createServer(socket => {
      socket.on('error', () => {})
      socket.end('SSH-2.0-OpenSSH_9.2\r\n')
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const { port } = server.address() as AddressInfo
    expect(await refusal(connect(`127.0.0.1:${port}`).store.pull('v1', platform))).toContain(
      'does not match the HTTP/1.1 protocol',
    )
  })
})

describe('proxies', () => {
  const tls = certificateFor('registry.example.com')

  it('lead to a registry', async () => {
    const server = await serve({ tls })
    const { digest, layer } = await seed(server, 'team/app:v1', { '/big': noise(100_000) })
    const proxy = await proxyTo(server.host, `ann:${secret}`)
    const { store } = connect('registry.example.com', {
      ca: [tls.cert],
      proxy: { https: proxy.url.replace('//', `//ann:${secret}@`) },
    })
    const image = await store.pull('v1', platform)
    expect(image?.digest).toBe(digest)
    expect(await bytesOf(image!.layers[0]!.open())).toHaveLength(layer.size)
    expect(proxy.lines[0]).toBe('CONNECT registry.example.com:443')
  })

  it('R41 K16 that want a password say so, and none is shown', async () => {
    const server = await serve({ tls })
    const proxy = await proxyTo(server.host, `ann:${secret}`)
    for (const userinfo of ['', `ann:${secret}-wrong@`]) {
      const { store } = connect('registry.example.com', { proxy: { https: proxy.url.replace('//', `//${userinfo}`) } })
      const line = await refusal(store.pull('v1', platform))
      expect(line).toContain('GET https://registry.example.com/v2/team/app/manifests/v1 | the proxy answered 407')
      expect(line).toContain('put user and password into the URL of the proxy')
    }
    expect(server.requests).toEqual([])
  })

  it('R41 K16 say so for plain http as well', async () => {
    const proxy = await proxyTo('127.0.0.1:1', `ann:${secret}`)
    const { store } = connect('registry.example.com', { insecure: true, proxy: { http: proxy.url, https: proxy.url } })
    expect(await refusal(store.pull('v1', platform))).toContain('the proxy answered 407')
  })

  it('K16 whose URL is none are not shown', async () => {
    const proxy = { https: `ftp://ann:${secret}@proxy` }
    expect(await refusal(() => connect('registry.example.com', { proxy }))).toContain('HTTP_PROXY or HTTPS_PROXY')
  })

  it('are not asked for registries on this machine, nor for those in NO_PROXY', async () => {
    const server = await serve()
    const proxy = await proxyTo(server.host)
    const settings = { http: proxy.url, https: proxy.url, no: 'localhost, registry.invalid' }
    expect(await connect(server.host, { proxy: settings }).store.pull('v1', platform)).toBeUndefined()
    expect(await refusal(connect('registry.invalid', { proxy: settings }).store.pull('v1', platform))).toContain(
      'ENOTFOUND',
    )
    expect(proxy.lines).toEqual([])
  })

  it.each([
    ['10.1.2.3:5000', false],
    ['registry.team.svc.cluster.local:5000', false],
    ['registry.example.com:5000', true],
  ])('lead to a registry without TLS at %s, and all requests go there by http', async (host, insecure) => {
    const server = await serve()
    const { digest } = await seed(server)
    // What a registry answers that was told an https URL of its own.
    server.faults = ({ method }) => {
      if (method !== 'POST') return undefined
      const edit = (answer: Answer): Answer => {
        const path = new URL(String(answer.headers?.location ?? ''), server.url).pathname
        return { ...answer, headers: { ...answer.headers, location: `https://${host}${path}` } }
      }
      return { edit }
    }
    const proxy = await proxyTo(server.host)
    const { store } = connect(host, { insecure, proxy: { http: proxy.url, https: proxy.url } })
    await store.checkWrite(['v2'])
    expect((await store.pull('v1', platform))?.digest).toBe(digest)
    await store.putImage(makeImage(configOf(), [await store.putLayer(sourceOf({ '/a': 'a' }))]), ['v2'])
    // One look whether it speaks TLS.
    expect(proxy.lines.filter(line => line.startsWith('CONNECT'))).toHaveLength(1)
    expect(proxy.lines.some(line => line.startsWith(`DELETE http://${host}/v2/team/app/blobs/uploads/`))).toBe(true)
  })

  it('R39 lead to a registry without TLS that is not called insecure: refused, with the way to do that', async () => {
    const server = await serve()
    const proxy = await proxyTo(server.host)
    const { store } = connect('registry.example.com:5000', { proxy: { http: proxy.url, https: proxy.url } })
    expect(await refusal(store.checkWrite(['v1']))).toMatch(/does not use TLS.*CNB_INSECURE_REGISTRIES/)
    expect(server.requests).toEqual([])
  })

  it('for http are not asked for https', async () => {
    const proxy = await proxyTo('127.0.0.1:1')
    const { store } = connect('registry.invalid', { proxy: { http: proxy.url } })
    expect(await refusal(store.pull('v1', platform))).toContain('ENOTFOUND')
    expect(proxy.lines).toEqual([])
  })

  it('R12 R17 that hide where a registry is do not make it a neighbour of ours', async () => {
    const inside = await serve()
    const server = await serve({ tls })
    await seed(server)
    const proxy = await proxyTo(server.host)
    const { store } = connect('registry.example.com', { ca: [tls.cert], proxy: { https: proxy.url } })
    server.faults = ({ url }) =>
      url.pathname.includes('/blobs/')
        ? { answer: { status: 307, headers: { location: `https://${inside.host}/x` } } }
        : undefined
    expect(await refusal(store.pull('v1', platform))).toContain(
      'names 127.0.0.1, a loopback address, for contents: not asked',
    )
    server.faults = () => ({
      answer: { status: 401, headers: { 'www-authenticate': `Bearer realm="https://${inside.host}/token"` } },
    })
    expect(await refusal(store.pull('v1', platform))).toContain(
      'names 127.0.0.1, a loopback address, for tokens: not asked',
    )
    expect(inside.requests).toEqual([])
  })
})
