import { type Fault, type FakeRegistry, type Recorded, errorAnswer } from '../helpers/registry.ts'
import type { Random } from '../helpers/seed.ts'

/** A way in which requests to a registry go wrong. */
export interface Kind {
  readonly name: string
  /** Whether another attempt can go well, so that the operation must. */
  readonly passes: boolean
  /** It takes another fault before it, so that a run may be without it. */
  readonly rare?: true
  /** The requests that it can hit. */
  readonly hits: (request: Recorded) => boolean
  readonly fault: (request: Recorded, random: Random, server: FakeRegistry) => Fault
}

const any = (): boolean => true
const isGet = ({ method }: Recorded): boolean => method === 'GET'
const ofBlob = (request: Recorded): boolean => isGet(request) && /\/blobs\/sha256:/.test(request.url.pathname)
const ofManifest = (request: Recorded): boolean => isGet(request) && request.url.pathname.includes('/manifests/')
const ofContent = (request: Recorded): boolean => ofBlob(request) || ofManifest(request)
const putsManifest = ({ method, url }: Recorded): boolean => method === 'PUT' && url.pathname.includes('/manifests/')
const inSession = ({ method, url }: Recorded): boolean => /\/uploads\/./.test(url.pathname) && method !== 'DELETE'
const uploads = (request: Recorded): boolean => inSession(request) && !isGet(request)
const closes = (request: Recorded): boolean => inSession(request) && request.method === 'PUT'

const flipped = (bytes: Uint8Array, at: number): Uint8Array => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte))
const answer = (status: number, code: string, headers = {}): Fault => ({
  answer: errorAnswer(status, code, 'injected', headers),
})
const soon = (random: Random): string =>
  random.oneOf(['0', '0', '0', new Date(Date.now() - 1000).toUTCString(), '-1', 'nonsense'])

export const kinds: readonly Kind[] = [
  { name: 'connection reset', passes: true, hits: any, fault: () => ({ reset: 'before' }) },
  { name: 'answer lost', passes: true, hits: any, fault: () => ({ reset: 'after' }) },
  { name: 'reset in the answer', passes: true, hits: ofContent, fault: (_r, random) => ({ reset: random.below(400) }) },
  { name: 'truncated answer', passes: true, hits: ofContent, fault: (_r, random) => ({ truncate: random.below(400) }) },
  {
    name: 'upload cut',
    passes: true,
    hits: uploads,
    fault: (_r, random) => ({ cut: random.oneOf([1, 2, 1000, 40_000, 55_000]) }),
  },
  {
    name: '401, the token has expired',
    passes: true,
    hits: any,
    fault: (_r, _random, server) => {
      server.expireTokens()
      return {}
    },
  },
  {
    name: '404, the session is lost',
    passes: true,
    hits: inSession,
    fault: (_r, _random, server) => {
      server.forgetUploads()
      return {}
    },
  },
  { name: '416', passes: true, hits: uploads, fault: () => answer(416, 'RANGE_INVALID') },
  {
    name: '416 for the rest of a blob',
    passes: true,
    rare: true,
    hits: request => ofBlob(request) && request.headers.range !== undefined,
    fault: () => answer(416, 'RANGE_INVALID'),
  },
  {
    name: '429',
    passes: true,
    hits: any,
    fault: (_r, random) => answer(429, 'TOOMANYREQUESTS', { 'retry-after': soon(random) }),
  },
  {
    name: '5xx',
    passes: true,
    hits: any,
    fault: (_r, random) => answer(random.oneOf([500, 502, 503, 504, 522]), 'UNAVAILABLE'),
  },
  {
    name: 'wrong digest of what was sent',
    passes: true,
    hits: closes,
    fault: (_r, _random, server) => {
      server.forgetUploads()
      return answer(400, 'DIGEST_INVALID')
    },
  },
  { name: 'slow drip', passes: true, hits: ofBlob, fault: () => ({ drip: 20 }) },
  { name: 'no answer', passes: true, hits: any, fault: () => ({ hang: true }) },

  { name: '404 of a part', passes: false, hits: ofContent, fault: () => answer(404, 'NOT_FOUND') },
  { name: '403', passes: false, hits: any, fault: () => answer(403, 'DENIED') },
  { name: '429 for years', passes: false, hits: any, fault: () => answer(429, 'LATER', { 'retry-after': '99999999' }) },
  { name: 'manifest refused', passes: false, hits: putsManifest, fault: () => answer(400, 'MANIFEST_INVALID') },
  {
    name: 'wrong digest of what came',
    passes: false,
    hits: ofContent,
    fault: (_r, random) => ({
      edit: a => (a.body instanceof Uint8Array ? { ...a, body: flipped(a.body, random.below(a.body.length)) } : a),
    }),
  },
  {
    name: 'a digest that lies',
    passes: false,
    hits: ofManifest,
    fault: () => ({
      edit: a => ({ ...a, headers: { ...a.headers, 'docker-content-digest': `sha256:${'0'.repeat(64)}` } }),
    }),
  },
]
