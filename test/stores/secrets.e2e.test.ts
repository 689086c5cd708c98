import { once } from 'node:events'
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { bale, root } from '../helpers/bale.ts'
import { secret, seed, serve } from '../helpers/registry/set-up.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { readTree } from '../helpers/tree.ts'

const basic = Buffer.from(`ann:${secret}`).toString('base64')
const login = { username: 'ann', password: secret }

/** A home with a docker config.json that has the login for this registry. */
async function home(host: string): Promise<string> {
  const dir = await temporaryDirectory()
  writeFileSync(join(dir, 'config.json'), JSON.stringify({ auths: { [host]: { auth: basic } } }), { mode: 0o600 })
  return dir
}

/** The oracle: neither a password, nor what goes over the line in its place, is anywhere in what is printed. */
describe('K09 with everything turned on that traces', () => {
  it.each([
    ['basic', 'a page'],
    ['basic', 'a refusal'],
    ['bearer', 'a page'],
    ['bearer', 'a refusal'],
  ] as const)('%s credentials are in no line: %s', async (scheme, outcome) => {
    const server = await serve({ auth: { scheme, ...login } })
    await seed(server, 'team/app:v1')
    const seen = new Set<string>()
    server.faults = ({ headers, url, method }) => {
      const header = headers.authorization
      if (header !== undefined) for (const word of header.split(' ').slice(1)) seen.add(word)
      // A registry that tells us our own credentials.
      const echo = { errors: [{ code: 'DENIED', message: `${method} with ${header}` }] }
      const refused = outcome === 'a refusal' && header !== undefined && url.pathname.includes('/manifests/')
      if (refused)
        return { answer: { status: 403, headers: { 'content-type': 'application/json' }, body: JSON.stringify(echo) } }
      return undefined
    }
    const dir = await home(server.host)
    const env = {
      DOCKER_CONFIG: dir,
      XDG_CACHE_HOME: dir,
      XDG_DATA_HOME: dir,
      NODE_DEBUG: 'undici,bale',
      DEBUG: '*',
      BALE_DEBUG: '1',
    }
    const ended = await bale(['inspect', `docker://${server.host}/team/app:v1`, '--verbose'], { env })
    expect(ended.code).toBe(outcome === 'a page' ? 0 : 1)
    expect(seen.size).toBeGreaterThan(0)
    for (const word of [secret, basic, ...seen]) expect(ended.output).not.toContain(word)
  })
})

/**
 * Deviation: while a push goes on, its secrets are in the heap. Tokens expire in the middle, so the password is needed to
 * the end, and JavaScript can overwrite no string. What holds: they are in the heap of Bale's own process alone, which runs
 * no buildpack (K15), for as long as the connection to that registry is open, and are gone with it.
 */
describe('K13 a heap snapshot', () => {
  it.each(['basic', 'bearer'] as const)('after a push holds no secret: %s', async scheme => {
    const server = await serve({ auth: { scheme, ...login } })
    const tokens = new Set<string>()
    server.faults = ({ headers }) => {
      if (headers.authorization !== undefined) tokens.add(headers.authorization.split(' ')[1] ?? '')
      return undefined
    }
    const dir = await home(server.host)
    mkdirSync(join(dir, 'data'))
    const argv = ['--expose-gc', join(import.meta.dirname, '../helpers/heap-child.ts'), dir, server.host]
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'inherit', 'inherit'] })
    expect(await once(child, 'exit')).toEqual([0, null])
    expect(server.manifests.has('team/app:v1')).toBe(true)
    const snapshot = (name: string) => readFileSync(join(dir, `${name}.heapsnapshot`), 'latin1')
    // Or else the search would prove nothing.
    expect(snapshot('during')).toContain(secret)
    const after = snapshot('after')
    for (const word of [secret, basic, ...tokens]) expect(after.includes(word), word.slice(0, 8)).toBe(false)
  })
})

/** The oracle: the build ends well, and what it made, kept and said has neither the password nor what stands for it. */
describe('K14 a canary password', () => {
  it('is in no layer, config, manifest, cache, report or line of a build that publishes', async () => {
    const server = await serve({ auth: { scheme: 'bearer', ...login } })
    const tokens = new Set<string>()
    server.faults = ({ headers }) => {
      if (headers.authorization !== undefined) tokens.add(headers.authorization.split(' ')[1] ?? '')
      return undefined
    }
    const dir = await home(server.host)
    const env = { DOCKER_CONFIG: dir, XDG_CACHE_HOME: join(dir, 'cache') }
    const path = join(root, 'examples', 'procfile')
    const args = [
      'build',
      `${server.host}/team/app`,
      '--publish',
      '--path',
      path,
      '--report-output-dir',
      join(dir, 'report'),
    ]
    const ended = await bale([...args, '--verbose'], { env })
    expect(ended.code, ended.output).toBe(0)
    const made = [...server.blobs.values(), ...[...server.manifests.values()].map(m => m.bytes)]
    expect(made.length).toBeGreaterThan(5)
    const texts = [ended.output, ...made.map(textOf)]
    for (const folder of ['cache', 'report']) texts.push(...Object.values(await readTree(join(dir, folder))))
    for (const word of [secret, basic, ...tokens])
      for (const text of texts) expect(text.includes(word), text.slice(0, 200)).toBe(false)
  })
})

/** A blob as it is, or what was compressed in it. */
function textOf(bytes: Buffer): string {
  return (bytes[0] === 0x1f ? gunzipSync(bytes) : bytes).toString('latin1')
}
