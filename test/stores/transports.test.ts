import { execFileSync } from 'node:child_process'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { BaleError } from '../../lifecycle/errors.ts'
import { dockerName } from '../../lifecycle/stores/docker-name.ts'
import { memoryTransport } from '../../lifecycle/stores/memory/transport.ts'
import { displayName, parseImageReference, storeKey, transports } from '../../lifecycle/stores/transports.ts'
import { parseReference } from '../../lifecycle/image/reference.ts'

const id = `sha256:${'0123456789abcdef'.repeat(4)}`

/** What a reference says, without its transport's functions. */
const parsed = (text: string) => {
  const { transport, ...rest } = parseImageReference(text)
  return { transport: transport.name, ...rest }
}

describe('parseImageReference', () => {
  it.each([
    ['hello', 'index.docker.io/library/hello:latest'],
    ['hello:v1', 'index.docker.io/library/hello:v1'],
    ['docker:24', 'index.docker.io/library/docker:24'],
    ['localhost:5000/a/b', 'localhost:5000/a/b:latest'],
    ['ghcr.io/a/b:1', 'ghcr.io/a/b:1'],
    [`me/app@${id}`, `index.docker.io/me/app@${id}`],
  ])('takes the plain name %s for an image in its own store', (text, name) => {
    expect(parsed(text)).toEqual({ transport: 'store', location: '', docker: parseReference(text), name })
  })

  it('knows a registry', () => {
    expect(parsed('docker://localhost:5000/app:v1')).toEqual({
      transport: 'registry',
      location: 'localhost:5000/app',
      docker: { registry: 'localhost:5000', repository: 'app', tag: 'v1' },
      name: 'localhost:5000/app:v1',
    })
  })

  it.each([
    ['oci:out', { transport: 'oci', location: 'out', name: '' }],
    ['oci:/tmp/out:v1', { transport: 'oci', location: '/tmp/out', name: 'v1' }],
    ['oci:../out:localhost:5000/app:v1', { transport: 'oci', location: '../out', name: 'localhost:5000/app:v1' }],
    ['oci-archive:app.tar', { transport: 'oci-archive', location: 'app.tar', name: '' }],
    ['oci-archive:app.tar:v1', { transport: 'oci-archive', location: 'app.tar', name: 'v1' }],
    ['docker-archive:app.tar', { transport: 'docker-archive', location: 'app.tar', name: '' }],
    [
      'docker-archive:app.tar:hello',
      { transport: 'docker-archive', location: 'app.tar', name: 'docker.io/library/hello:latest' },
    ],
    ['docker-archive:a:localhost:5000/x:1', { transport: 'docker-archive', location: 'a', name: 'localhost:5000/x:1' }],
    [
      'docker-daemon:hello:v1',
      {
        transport: 'docker-daemon',
        location: '',
        name: 'docker.io/library/hello:v1',
        docker: parseReference('docker.io/library/hello:v1'),
      },
    ],
    [
      'docker-daemon:ghcr.io/a/b:1',
      { transport: 'docker-daemon', location: '', name: 'ghcr.io/a/b:1', docker: parseReference('ghcr.io/a/b:1') },
    ],
    [`docker-daemon:${id}`, { transport: 'docker-daemon', location: '', name: id }],
  ])('reads %s as skopeo does', (text, expected) => {
    expect(parsed(text)).toEqual(expected)
  })

  it.each([
    ['', 'names no repository'],
    ['Hello', 'use lower case'],
    ['oci:', 'has no path'],
    ['oci::v1', 'has no path'],
    ['docker-archive:', 'has no path'],
    [`docker-archive:a.tar:hello@${id}`, 'cannot store'],
    ['docker://', 'names no repository'],
    ['docker:///x', 'not allowed'],
    ['docker-daemon:a b', 'not allowed'],
    ['containers-storage:hello', 'does not know "containers-storage:"'],
    ['dir:/tmp/x', 'does not know "dir:"'],
    ['/tmp/app.tar', 'write oci:DIR, oci-archive:FILE'],
    ['./app.tar:v1', 'is a path'],
    ['.', 'source code is given with --path'],
    ['..', 'is a path'],
    ['~/app', 'is a path'],
    ['https://example.com/x', 'does not know "https:"'],
    ['hello:\u001b[31m', '\\u001b'],
    ['hello\nworld', '\\n'],
  ])('R42 refuses %j', (text, message) => {
    const error = catchError(() => parseImageReference(text))
    expect(error.code).toBe('arguments')
    expect(`${error.message} ${error.fix}`).toContain(message)
    expect(error.message).not.toMatch(/[\x00-\x1f]/)
  })
})

describe('K17 a password in a reference', () => {
  it.each([
    'http://me:hunter2@h/x',
    'https://me:hunter2@h:5000/x',
    'docker://me:hunter2@h/x',
    'docker-daemon:me:hunter2@h/x',
    'me:hunter2@h/x',
    'me:hunter2@h/x@y',
    './me:hunter2@h',
    'docker-archive:/x:me:hunter2@h/x',
    'dir:me:hunter2@h',
  ])('of %j is in no message', text => {
    try {
      parseImageReference(text)
      expect.unreachable('it is refused')
    } catch (error) {
      const { message, where, fix } = error as BaleError
      expect(error).toBeInstanceOf(BaleError)
      expect(JSON.stringify([message, where, fix])).not.toContain('hunter2')
    }
  })
})

describe('the list of transports', () => {
  it('has one for each prefix, whose own form it reads', () => {
    expect(new Set(transports.map(t => t.prefix)).size).toBe(transports.length)
    for (const transport of transports) {
      expect(transport.prefix === '' || transport.form.startsWith(transport.prefix)).toBe(true)
      expect(parseImageReference(`${transport.prefix}name`).transport).toBe(transport)
    }
  })

  it('can be another one: a program adds a transport and the rest still works', () => {
    const memory = memoryTransport()
    const known = [...transports, memory]
    expect(parseImageReference('memory:app', known)).toMatchObject({ transport: memory, name: 'app' })
    expect(parseImageReference('hello', known).transport.name).toBe('store')
    expect(parseImageReference('memory:app').transport.name).toBe('store')
  })

  // undici takes 45 to 120 ms to load, and most commands talk to no network.
  it('is imported without loading a network library', () => {
    expect(loadedBy('transports.ts').filter(url => url.includes('/node_modules/undici/'))).toEqual([])
    expect(loadedBy('undici.ts').some(url => url.includes('/node_modules/undici/'))).toBe(true)
  })
})

/** The modules that a file of lifecycle/stores/ loads when it is imported, as URLs. */
function loadedBy(file: string): string[] {
  const program = `
    const { registerHooks } = await import('node:module')
    const urls = []
    registerHooks({ load(url, context, next) { urls.push(url); return next(url, context) } })
    await import(process.argv[1])
    console.log(JSON.stringify(urls))`
  const url = pathToFileURL(resolve(import.meta.dirname, '../../lifecycle/stores', file)).href
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', program, url], { encoding: 'utf8' })
  return JSON.parse(output) as string[]
}

it.each([
  ['hello', 'index.docker.io/library/hello:latest', 'store'],
  ['docker://localhost:5000/a/b:v1', 'localhost:5000/a/b:v1', 'registry localhost:5000/a/b'],
  ['docker-daemon:hello', 'docker.io/library/hello:latest', 'docker-daemon'],
  ['oci:out:v1', 'oci:out:v1', `oci ${resolve('out')}`],
  ['oci-archive:a/../b.tar', 'oci-archive:a/../b.tar', `oci-archive ${resolve('b.tar')}`],
])('%s is shown to the user as %s, and its store is %s', (text, shown, key) => {
  const reference = parseImageReference(text)
  expect(displayName(reference)).toBe(shown)
  expect(storeKey(reference)).toBe(key)
})

it('dockerName is what Docker and Podman agree on', () => {
  expect(dockerName(parseReference('hello'))).toBe('docker.io/library/hello:latest')
  expect(dockerName(parseReference('index.docker.io.example.com/x'))).toBe('index.docker.io.example.com/x:latest')
})

function catchError(run: () => unknown): BaleError {
  try {
    run()
  } catch (error) {
    if (error instanceof BaleError) return error
    throw error
  }
  return expect.unreachable('it was accepted')
}
