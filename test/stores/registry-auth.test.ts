import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { makeImage } from '../../lifecycle/image/image.ts'
import type { Credential } from '../../lifecycle/stores/credentials/credential.ts'
import { unusedLogin } from '../../lifecycle/stores/registry/unused-login.ts'
import { configOf, noise, pieces, platform, sourceOf } from '../helpers/images.ts'
import { type FakeRegistry, errorAnswer } from '../helpers/registry.ts'
import type { AuthOptions } from '../helpers/registry/auth.ts'
import { connect, credentialsOf, refusal, secret, seed, serve } from '../helpers/registry/set-up.ts'

// The oracle: Bale sends credentials only to the registry, or to the token server that it may name. A fault ends the operation
// soon, after a limited number of requests, with one line that names the request and no secret (`refusal`).

const login = { username: 'ann', password: secret }
const password: Credential = { kind: 'password', ...login }
const bearer: AuthOptions = { scheme: 'bearer', ...login }
const basic: AuthOptions = { scheme: 'basic', ...login }

const tokensAsked = (server: FakeRegistry) => server.requests.filter(r => r.url.pathname === '/token')
const headersOf = (server: FakeRegistry) => server.requests.map(r => r.headers.authorization)

async function push(server: FakeRegistry, credential: Credential | undefined, repository = 'team/app') {
  const credentials = credential && credentialsOf(credential)
  const { store } = connect(server.host, { ...(credentials && { credentials }), repository })
  const layer = await store.putLayer(sourceOf({ '/a': 'a' }))
  await store.putImage(makeImage(configOf(), [layer]), ['v1'])
  return store
}

describe('credentials', () => {
  it('are not sent before the registry asks for them', async () => {
    const server = await serve()
    await push(server, password)
    expect(headersOf(server).filter(h => h !== undefined)).toEqual([])
  })

  it('K01 are sent as Basic, once the registry has asked', async () => {
    const server = await serve({ auth: { ...basic, username: 'änn', password: 'a:b:ü' } })
    await push(server, { kind: 'password', username: 'änn', password: 'a:b:ü' })
    const refused = server.requests.filter(r => r.headers.authorization === undefined && r.url.pathname !== '/v2/')
    expect(refused).toHaveLength(1)
  })

  it('K01 may have an empty password', async () => {
    const server = await serve({ auth: { ...basic, password: '' } })
    await push(server, { kind: 'password', username: 'ann', password: '' })
  })

  it('are exchanged for a token, which serves for the whole repository', async () => {
    const server = await serve({ auth: bearer })
    const store = await push(server, password)
    expect(tokensAsked(server).map(r => r.url.search)).toEqual([
      '?service=fake&scope=repository%3Ateam%2Fapp%3Apull%2Cpush',
    ])
    await store.pull('v1', platform)
    expect(tokensAsked(server).at(-1)?.url.search).toContain('scope=repository%3Ateam%2Fapp%3Apull')
    expect(tokensAsked(server)).toHaveLength(2)
    // The password goes to the token server only.
    const withPassword = server.requests.filter(r => r.headers.authorization?.startsWith('Basic'))
    expect(withPassword.every(r => r.url.pathname === '/token')).toBe(true)
  })

  it('K03 of the kind identity token are exchanged by OAuth2', async () => {
    const server = await serve({ auth: { ...bearer, identityToken: secret } })
    await push(server, { kind: 'identity-token', token: secret })
    const [asked] = tokensAsked(server)
    expect(asked?.method).toBe('POST')
    expect(Object.fromEntries(new URLSearchParams(asked?.body.toString()))).toEqual({
      grant_type: 'refresh_token',
      client_id: 'bale',
      refresh_token: secret,
      service: 'fake',
      scope: 'repository:team/app:pull,push',
    })
  })

  it('of the kind registry token are sent as they are', async () => {
    const server = await serve({ auth: { ...bearer, registryToken: secret } })
    await push(server, { kind: 'registry-token', token: secret })
    expect(tokensAsked(server)).toEqual([])
    expect(headersOf(server)).toContain(`Bearer ${secret}`)
  })

  it('are not needed where anybody may read', async () => {
    const server = await serve({ auth: { ...bearer, publicRead: true } })
    await seed(server)
    expect(await connect(server.host).store.pull('v1', platform)).toBeDefined()
    expect(headersOf(server).some(h => h?.startsWith('Basic'))).toBe(false)
  })

  it.each([false, true])('reach as far as a mount from another repository; scopes are left to us: %s', async terse => {
    const server = await serve({ auth: { ...bearer, terse } })
    const { layer } = await seed(server, 'base/run:v1')
    const { store } = connect(server.host, { credentials: credentialsOf(password) })
    await store.putLayer({ ...layer, repository: { registry: server.host, repository: 'base/run' } })
    expect(server.received).toBe(0)
    expect(tokensAsked(server).map(r => r.url.searchParams.getAll('scope'))).toContainEqual([
      'repository:team/app:pull,push',
      'repository:base/run:pull',
    ])
  })

  it('are asked for together where several layers go at once', async () => {
    const server = await serve({ auth: bearer })
    const { store } = connect(server.host, { credentials: credentialsOf(password) })
    await Promise.all(['a', 'b', 'c', 'd'].map(name => store.putLayer(sourceOf({ [name]: name }))))
    expect(tokensAsked(server)).toHaveLength(1)
  })
})

describe.each([basic, bearer])('K18 credentials for one path of a registry: $scheme', auth => {
  it('are for requests there, and for no other repository on the same connection', async () => {
    const server = await serve({ auth })
    await seed(server, 'team/app:v1')
    await seed(server, 'other/app:v1')
    const asked: string[] = []
    const find = (name: string) => {
      asked.push(name)
      return Promise.resolve(name.startsWith(`${server.host}/team/`) ? password : undefined)
    }
    const { at } = connect(server.host, { credentials: { find } })
    expect(await at('team/app').pull('v1', platform)).toBeDefined()
    expect(await refusal(at('other/app').pull('v1', platform))).toContain(`run docker login ${server.host}`)
    expect(await at('team/app').pull('v1', platform)).toBeDefined()
    const others = server.requests.filter(r => /other\/app/.test(r.url.href))
    expect(others.length).toBeGreaterThan(0)
    expect(others.filter(r => r.headers.authorization?.startsWith('Basic'))).toEqual([])
    expect(new Set(asked)).toEqual(new Set([`${server.host}/team/app`, `${server.host}/other/app`]))
  })
})

describe('what a job has in its variables', () => {
  it.each([
    [
      'GitLab’s registry',
      'r.test:5050',
      { CI_REGISTRY: 'r.test:5050', CI_REGISTRY_USER: 'u', CI_REGISTRY_PASSWORD: secret },
      'r.test:5050 --username "$CI_REGISTRY_USER"',
    ],
    ['GitHub’s registry', 'ghcr.io', { GITHUB_ACTOR: 'u', GITHUB_TOKEN: secret }, 'ghcr.io --username "$GITHUB_ACTOR"'],
    [
      'the job’s REGISTRY',
      'r.test',
      { REGISTRY: 'r.test', REGISTRY_USER: 'u', REGISTRY_PASSWORD: secret },
      'r.test --username "$REGISTRY_USER"',
    ],
    [
      'Docker Hub',
      'index.docker.io',
      { DOCKER_USERNAME: 'u', DOCKER_PASSWORD: secret },
      'docker.io --username "$DOCKER_USERNAME"',
    ],
    [
      'another registry than GitLab’s',
      'other.test',
      { CI_REGISTRY: 'r.test', CI_REGISTRY_USER: 'u', CI_REGISTRY_PASSWORD: secret },
      undefined,
    ],
    ['another registry than GitHub’s', 'r.test', { GITHUB_ACTOR: 'u', GITHUB_TOKEN: secret }, undefined],
    [
      'another registry than the job’s',
      'other.test',
      { REGISTRY: 'r.test', REGISTRY_USER: 'u', REGISTRY_PASSWORD: secret },
      undefined,
    ],
    ['a user without a password', 'ghcr.io', { GITHUB_ACTOR: 'u', GITHUB_TOKEN: '' }, undefined],
  ])('is for %s', (_what, registry, env, words) => {
    const command = unusedLogin(registry, env)
    if (words === undefined) return expect(command).toBeUndefined()
    expect(command).toContain(`bale login ${words} --password-stdin`)
    expect(command).not.toContain(secret)
  })

  it('is named where there are no credentials, and not where there are wrong ones', async () => {
    for (const auth of [basic, bearer]) {
      const server = await serve({ auth })
      const hint = unusedLogin(server.host, {
        CI_REGISTRY: server.host,
        CI_REGISTRY_USER: 'u',
        CI_REGISTRY_PASSWORD: secret,
      })
      const line = await refusal(connect(server.host, { unusedLogin: hint }).store.checkWrite(['v1']))
      expect(line).toContain(`| log in with the credentials in the variables of this job: ${hint}`)
      const credentials = credentialsOf({ kind: 'password', username: 'ann', password: 'wrong' })
      const wrong = await refusal(connect(server.host, { unusedLogin: hint, credentials }).store.checkWrite(['v1']))
      expect(wrong).not.toContain('CI_REGISTRY_USER')
    }
  })
})

describe('a refusal', () => {
  it('without credentials says how to give some', async () => {
    for (const auth of [basic, bearer]) {
      const server = await serve({ auth })
      const line = await refusal(connect(server.host).store.checkWrite(['v1']))
      expect(line).toContain(`POST ${server.url}/v2/team/app/blobs/uploads/`)
      expect(line).toContain('401: UNAUTHORIZED: authentication required')
      expect(line).toContain(`run docker login ${server.host} or set CNB_REGISTRY_AUTH`)
    }
  })

  it('K14 of a wrong password does not repeat it, even where the registry does', async () => {
    const wrong: Credential = { kind: 'password', username: 'ann', password: `${secret}-wrong` }
    const encoded = Buffer.from(`ann:${secret}-wrong`).toString('base64')
    for (const auth of [basic, bearer]) {
      const server = await serve({ auth })
      server.faults = ({ headers }) =>
        headers.authorization?.startsWith('Basic')
          ? {
              answer: errorAnswer(401, 'UNAUTHORIZED', `${secret}-wrong (${encoded}) is wrong`, {
                'www-authenticate': 'Basic',
              }),
            }
          : undefined
      const line = await refusal(connect(server.host, { credentials: credentialsOf(wrong) }).store.checkWrite(['v1']))
      expect(line).toContain('401: UNAUTHORIZED: *** (***) is wrong')
      expect(line).toContain(`docker login ${server.host}`)
      expect(line).not.toContain(encoded)
    }
  })

  it('of a token where a password is wanted says so', async () => {
    const server = await serve({ auth: basic })
    const credentials = credentialsOf({ kind: 'identity-token', token: secret })
    expect(await refusal(connect(server.host, { credentials }).store.checkWrite([]))).toContain(
      'requires a password, but the stored credential is a token',
    )
  })

  it('R09 that never ends is asked for a moment and no longer', async () => {
    for (const challenge of ['Basic realm="x"', undefined]) {
      const server = await serve({ auth: bearer })
      const answer = (url: string) =>
        errorAnswer(401, 'UNAUTHORIZED', 'no', {
          'www-authenticate': challenge ?? `Bearer realm="${url}/token",service="fake"`,
        })
      server.faults = ({ url }) => (url.pathname === '/token' ? undefined : { answer: answer(server.url) })
      const { store } = connect(server.host, { credentials: credentialsOf(password) })
      expect(await refusal(store.checkWrite(['v1']))).toContain('401: UNAUTHORIZED: no | log in again')
      // A password is right or wrong; a token may have expired once more.
      expect(server.lines.filter(l => l.startsWith('POST'))).toHaveLength(challenge === undefined ? 3 : 2)
    }
  })

  it.each([
    ['', 'without a usable way to log in'],
    ['Negotiate abc==', 'without a usable way to log in'],
    ['Bearer', 'does not name a token server, but ""'],
    ['Bearer realm', 'does not name a token server'],
    ['Bearer realm="', 'does not name a token server'],
    ['Bearer service="x"', 'does not name a token server'],
    ['Bearer realm="not a URL"', 'does not name a token server, but "not a URL"'],
    ['Bearer realm="\u0001\\"', 'does not name a token server'],
    [`Bearer ${'x="y",'.repeat(2000)}`, 'does not name a token server'],
    [',,,,=,"', 'without a usable way to log in'],
  ])('R13 with the challenge %j is an error', async (challenge, why) => {
    const server = await serve()
    const headers = challenge === '' ? {} : { 'www-authenticate': challenge.replace('\u0001', '') }
    server.faults = ({ method }) =>
      method === 'POST' ? { answer: errorAnswer(401, 'UNAUTHORIZED', 'no', headers) } : undefined
    const { store } = connect(server.host, { credentials: credentialsOf(password) })
    expect(await refusal(store.checkWrite(['v1']))).toContain(why)
  })
})

describe('a token server', () => {
  async function refer(realm: string) {
    const server = await serve({ auth: { ...bearer, realm } })
    const { store } = connect(server.host, { credentials: credentialsOf(password) })
    return { server, line: await refusal(store.checkWrite(['v1'])) }
  }

  it('R10 on another host is not asked, where the registry is reached over http', async () => {
    const { server, line } = await refer('https://auth.example.com/token')
    expect(line).toContain('names https://auth.example.com/token as its token server, which is another host')
    expect(headersOf(server).filter(h => h !== undefined)).toEqual([])
  })

  describe('R10 on another port of the same host, where the registry is reached over http', () => {
    async function neighbour() {
      const tokens = await serve({ auth: bearer })
      const auth = { ...bearer, realm: `${tokens.url}/token`, registryToken: 'issued-elsewhere' }
      const server = await serve({ auth })
      tokens.faults = () => ({ answer: { status: 200, body: JSON.stringify({ access_token: 'issued-elsewhere' }) } })
      return { tokens, server }
    }

    it('is asked for a token without credentials', async () => {
      const { tokens, server } = await neighbour()
      await push(server, undefined)
      expect(tokens.lines).toHaveLength(1)
      expect(headersOf(tokens)).toEqual([undefined])
    })

    it.each([password, { kind: 'identity-token', token: secret } as const])('gets no $kind', async credential => {
      const { tokens, server } = await neighbour()
      const { store } = connect(server.host, { credentials: credentialsOf(credential) })
      const line = await refusal(store.checkWrite(['v1']))
      expect(line).toContain('another port and would get the password')
      expect(line).toContain('serve the registry over https')
      expect(tokens.requests).toEqual([])
    })
  })

  it.each([
    ['http://auth.example.com/token', 'another host'],
    ['file:///etc/passwd', 'neither https nor http'],
    ['javascript:alert(1)', 'neither https nor http'],
    ['http://user:hunter2-s3cret@127.0.0.1/token', 'with a user name in the URL'],
    ['http://169.254.169.254/latest/api/token', 'another host'],
    ['http://0.0.0.0/token', 'another host'],
    ['http://[::ffff:127.0.0.1]/token', 'another host'],
    ['https://localhost/token', 'another host'],
  ])('R11 R12 at %s is not asked', async (realm, why) => {
    const { server, line } = await refer(realm)
    expect(line).toContain(why)
    expect(line).toContain('Bale does not use it')
    expect(headersOf(server).filter(h => h !== undefined)).toEqual([])
  })

  const answers: [string, string, string][] = [
    ['without a token', '{}', 'answered without a token'],
    ['with an empty token', '{"token":""}', 'answered without a token'],
    ['with a number for a token', '{"token":7}', 'answered without a token'],
    ['with nothing', '', 'did not answer with JSON'],
    ['with a page', '<html>', 'did not answer with JSON'],
    ['with null', 'null', 'answered without a token'],
    ['R42 with a line break in the token', JSON.stringify({ token: 'a\r\nX-Evil: 1' }), 'did not answer with a token'],
  ]
  it.each(answers)('R14 that answers %s is an error', async (_what, body, why) => {
    const server = await serve({ auth: bearer })
    server.faults = ({ url }) => (url.pathname === '/token' ? { answer: { status: 200, body } } : undefined)
    expect(await refusal(connect(server.host).store.checkWrite(['v1']))).toContain(why)
  })

  it('R14 R08 that does not end its answer is left', async () => {
    const server = await serve({ auth: bearer })
    const endless = async function* () {
      for (;;) yield* pieces(Buffer.alloc(1_000_000, 'x'), 100_000)
    }
    server.faults = ({ url }) => (url.pathname === '/token' ? { answer: { status: 200, body: endless() } } : undefined)
    expect(await refusal(connect(server.host).store.checkWrite(['v1']))).toContain(
      'the answer is longer than 1048576 bytes',
    )
  })

  it('that redirects is not followed', async () => {
    const [server, elsewhere] = [await serve({ auth: bearer }), await serve()]
    server.faults = ({ url }) =>
      url.pathname === '/token'
        ? { answer: { status: 307, headers: { location: `${elsewhere.url}/token` } } }
        : undefined
    const { store } = connect(server.host, { credentials: credentialsOf(password) })
    expect(await refusal(store.checkWrite(['v1']))).toContain('answered 307')
    expect(elsewhere.requests).toEqual([])
  })

  it('R19 that is busy is asked again', async () => {
    const server = await serve({ auth: bearer })
    let faults = 0
    server.faults = ({ url }) =>
      url.pathname === '/token' && faults++ < 2 ? { answer: errorAnswer(503, 'X', 'busy') } : undefined
    await push(server, password)
  })

  it('that gives nobody a token says so, with the name of the registry', async () => {
    const server = await serve({ auth: bearer })
    server.faults = ({ url }) =>
      url.pathname === '/token' ? { answer: errorAnswer(403, 'DENIED', 'no anonymous tokens') } : undefined
    const line = await refusal(connect(server.host).store.checkWrite(['v1']))
    expect(line).toContain(`GET ${server.url}/token?service=fake&scope=repository:team/app:pull,push`)
    expect(line).toContain(`403: DENIED: no anonymous tokens | run docker login ${server.host}`)
  })
})

describe('a token that expires', () => {
  it('R15 during an upload is renewed, and the upload begun anew', async () => {
    const server = await serve({ auth: bearer })
    let faults = 0
    server.faults = ({ method }) => {
      if (method !== 'PATCH' || faults++ > 0) return undefined
      const challenge = `Bearer realm="${server.url}/token",service="fake",scope="repository:team/app:pull,push",error="invalid_token"`
      return { answer: errorAnswer(401, 'UNAUTHORIZED', 'token expired', { 'www-authenticate': challenge }) }
    }
    const { store } = connect(server.host, { credentials: credentialsOf(password) })
    const layer = await store.putLayer(sourceOf({ '/big': noise(300_000) }))
    expect(server.blobs.get(layer.digest)).toHaveLength(layer.size)
    expect(tokensAsked(server)).toHaveLength(2)
  })

  it('between two requests is renewed before the next one', async () => {
    const server = await serve({ auth: bearer })
    const { store } = connect(server.host, { credentials: credentialsOf(password) })
    await store.putLayer(sourceOf({ '/a': 'a' }))
    const before = server.requests.length
    const now = performance.now.bind(performance)
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + 400_000)
    onTestFinished(() => clock.mockRestore())
    await store.putLayer(sourceOf({ '/b': 'b' }))
    expect(server.lines.slice(before).map(line => line.split(' ')[0])).toEqual(['GET', 'HEAD', 'POST', 'PUT'])
    expect(tokensAsked(server)).toHaveLength(2)
  })
})
