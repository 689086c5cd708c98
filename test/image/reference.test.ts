import { describe, expect, it } from 'vitest'
import { BaleError } from '../../lifecycle/errors.ts'
import {
  atDigest,
  formatReference,
  layoutPath,
  parseReference,
  repositoryName,
} from '../../lifecycle/image/reference.ts'

const hex = 'a'.repeat(64)

describe('parseReference', () => {
  it.each([
    ['ubuntu', 'index.docker.io', 'library/ubuntu', 'latest'],
    ['ubuntu:22.04', 'index.docker.io', 'library/ubuntu', '22.04'],
    ['docker.io/ubuntu', 'index.docker.io', 'library/ubuntu', 'latest'],
    ['index.docker.io/library/ubuntu', 'index.docker.io', 'library/ubuntu', 'latest'],
    ['paketo/builder:base', 'index.docker.io', 'paketo/builder', 'base'],
    ['localhost/app', 'localhost', 'app', 'latest'],
    ['localhost:5000/app', 'localhost:5000', 'app', 'latest'],
    ['ghcr.io/a/b/c:v1', 'ghcr.io', 'a/b/c', 'v1'],
    ['[::1]:5000/app', '[::1]:5000', 'app', 'latest'],
    ['127.0.0.1:1/a__b/c-d.e', '127.0.0.1:1', 'a__b/c-d.e', 'latest'],
  ])('%s', (text, registry, repository, tag) => {
    expect(parseReference(text)).toEqual({ registry, repository, tag })
  })

  it('keeps a digest, and the tag beside it', () => {
    expect(parseReference(`r.io/app@sha256:${hex}`)).toEqual({
      registry: 'r.io',
      repository: 'app',
      digest: `sha256:${hex}`,
    })
    expect(parseReference(`r.io/app:v1@sha256:${hex}`)).toMatchObject({ tag: 'v1', digest: `sha256:${hex}` })
  })

  it.each([
    ['', 'names no repository'],
    ['r.io/', 'names no repository'],
    ['r.io/App', 'use lower case'],
    ['r.io/a//b', '""'],
    ['r.io/../etc', '".."'],
    ['r.io/a/../../b', '".."'],
    ['r.io/app:-x', 'the tag "-x"'],
    [`r.io/app:${'x'.repeat(129)}`, 'the tag'],
    [`r.io/app@sha512:${'a'.repeat(128)}`, 'sha256: and 64 hex digits'],
    ['r.io/app@sha256:../../x', 'sha256: and 64 hex digits'],
    [`r.io/app@sha256:${hex}@sha256:${hex}`, 'more than one @'],
    // K08: a password is not repeated.
    ['user:hunter2@r.io/app', 'has a user name'],
    ['https://user:hunter2@r.io/app', 'leave out https://'],
    ['user:hun/ter2@r.io/app', '***@r.io/app'],
    ['user:hun@ter2@r.io/app', '***@r.io/app'],
    ['user:hun\nter2@r.io/app', '***@r.io/app'],
    ['https://user:hun/t@er2@r.io:5000/app:v1', '***@r.io:5000/app:v1'],
    [`user:hunter2@r.io/app@sha256:${hex}`, '***@r.io/app'],
    ['user:hunter2@r.io/app@sha256:short', '***@r.io/app@sha256:short'],
    ['-r.io/app', 'not a host name'],
    ['r.io:port/app', 'not a host name'],
    [`r.io/${'a/'.repeat(130)}a`, 'longer than 255'],
    // R42: a line break would end the header or the request line that the name is put into.
    ['r.io/app\r\nX-Evil', 'not allowed'],
    ['r.io\r\nHost: evil/app', 'not a host name'],
    ['r.io/app:v1\r\nX: 1', 'the tag'],
  ])('R42 R37 K08 refuses %j', (text, why) => {
    let error: unknown
    try {
      parseReference(text)
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(BaleError)
    const { message, fix, code } = error as BaleError
    expect(`${message} ${fix}`).toContain(why)
    expect(code).toBe('arguments')
    const { where } = error as BaleError
    expect(message).not.toMatch(/[\u0000-\u001f]/)
    expect([message, fix, where, JSON.stringify(error)].join(' ')).not.toMatch(/hun|ter2/)
  })
})

describe('formatReference', () => {
  it.each(['r.io/app:v1', `r.io/app@sha256:${hex}`, 'index.docker.io/library/ubuntu:latest'])('%s comes back', text => {
    expect(formatReference(parseReference(text))).toBe(text)
  })

  it('drops the tag where a digest says more', () => {
    expect(formatReference(parseReference(`r.io/app:v1@sha256:${hex}`))).toBe(`r.io/app@sha256:${hex}`)
  })

  it('names the repository, and the same one at a digest', () => {
    const reference = parseReference('r.io/a/b:v1')
    expect(repositoryName(reference)).toBe('r.io/a/b')
    expect(formatReference(atDigest(reference, `sha256:${hex}`))).toBe(`r.io/a/b@sha256:${hex}`)
  })
})

describe('layoutPath (platform.md, "Map an image reference to a path in the layout directory")', () => {
  const hex = 'a'.repeat(64)
  it.each([
    ['r.io/a/b:1', 'r.io/a/b/1'],
    ['ubuntu', 'index.docker.io/library/ubuntu/latest'],
    [`r.io/a/b@sha256:${hex}`, `r.io/a/b/sha256/${hex}`],
  ])('%s is %s', (name, path) => expect(layoutPath(parseReference(name))).toBe(path))
})
