import { describe, expect, it } from 'vitest'
import { BaleError } from '../../lifecycle/errors.ts'
import { dockerName, parseDestination } from '../../lifecycle/stores/destination.ts'
import { parseReference } from '../../lifecycle/image/reference.ts'

const id = `sha256:${'0123456789abcdef'.repeat(4)}`

describe('parseDestination', () => {
  it.each([
    ['hello', 'index.docker.io/library/hello:latest'],
    ['hello:v1', 'index.docker.io/library/hello:v1'],
    ['docker:24', 'index.docker.io/library/docker:24'],
    ['localhost:5000/a/b', 'localhost:5000/a/b:latest'],
    ['ghcr.io/a/b:1', 'ghcr.io/a/b:1'],
    [`me/app@${id}`, `index.docker.io/me/app@${id}`],
  ])('takes the plain name %s for an image in its own store', (text, name) => {
    expect(parseDestination(text)).toEqual({ kind: 'store', reference: parseReference(text), name })
  })

  it('knows a registry', () => {
    expect(parseDestination('docker://localhost:5000/app:v1')).toEqual({
      kind: 'registry',
      reference: { registry: 'localhost:5000', repository: 'app', tag: 'v1' },
      name: 'localhost:5000/app:v1',
    })
  })

  it.each([
    ['oci:out', { kind: 'oci', path: 'out', name: '' }],
    ['oci:/tmp/out:v1', { kind: 'oci', path: '/tmp/out', name: 'v1' }],
    ['oci:../out:localhost:5000/app:v1', { kind: 'oci', path: '../out', name: 'localhost:5000/app:v1' }],
    ['oci-archive:app.tar', { kind: 'oci-archive', path: 'app.tar', name: '' }],
    ['oci-archive:app.tar:v1', { kind: 'oci-archive', path: 'app.tar', name: 'v1' }],
    ['docker-archive:app.tar', { kind: 'docker-archive', path: 'app.tar', name: '' }],
    [
      'docker-archive:app.tar:hello',
      { kind: 'docker-archive', path: 'app.tar', name: 'docker.io/library/hello:latest' },
    ],
    ['docker-archive:a:localhost:5000/x:1', { kind: 'docker-archive', path: 'a', name: 'localhost:5000/x:1' }],
    ['docker-daemon:hello:v1', { kind: 'docker-daemon', name: 'docker.io/library/hello:v1' }],
    ['docker-daemon:ghcr.io/a/b:1', { kind: 'docker-daemon', name: 'ghcr.io/a/b:1' }],
    [`docker-daemon:${id}`, { kind: 'docker-daemon', name: id }],
  ])('reads %s as skopeo does', (text, expected) => {
    expect(parseDestination(text)).toEqual(expected)
  })

  it.each([
    ['', 'names no repository'],
    ['Hello', 'use lower case'],
    ['oci:', 'names no path'],
    ['oci::v1', 'names no path'],
    ['docker-archive:', 'names no path'],
    [`docker-archive:a.tar:hello@${id}`, 'cannot hold'],
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
    const error = catchError(() => parseDestination(text))
    expect(error.code).toBe('arguments')
    expect(`${error.message} ${error.fix}`).toContain(message)
    expect(error.message).not.toMatch(/[\x00-\x1f]/)
  })
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
