import { describe, expect, it } from 'vitest'
import {
  type AptSource,
  findMirrors,
  namedMirror,
  parseSources,
  redactUris,
  renderSources,
} from '../../lifecycle/stacks/sources.ts'
import { failureOf } from '../helpers/failure.ts'

const deb822 = `# Debian's own
Types: deb deb-src
URIs: http://mirror.example/debian/
# a comment inside of a stanza
Suites: bookworm
  bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEY
 -----END PGP PUBLIC KEY BLOCK-----

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main
`

describe('parseSources', () => {
  it('reads deb822 stanzas: comments, continued lines, inline keys; neither disabled nor source ones', () => {
    const [main, security, ...rest] = parseSources('/etc/apt/sources.list.d/debian.sources', deb822)
    expect(main).toEqual({
      uris: ['http://mirror.example/debian/'],
      suites: ['bookworm', 'bookworm-updates'],
      components: ['main', 'contrib'],
      signedBy: '/usr/share/keyrings/debian-archive-keyring.gpg',
    })
    expect(security?.signedBy).toMatch(/^-----BEGIN[^\0]*\n \.\n mDMEY\n -----END/)
    expect(rest).toEqual([])
  })

  it('reads CRLF files', () => {
    const [main] = parseSources('/x.sources', deb822.replaceAll('\n', '\r\n'))
    expect(main?.uris).toEqual(['http://mirror.example/debian/'])
  })

  it('reads one-line sources with and without options', () => {
    const text = `
# deb http://comment.example/debian bookworm main
deb [ arch=amd64 signed-by="/usr/share/keyrings/a.gpg,/b.gpg" ] https://mirror.example/debian bookworm main contrib # why
deb-src http://mirror.example/debian bookworm main
\tdeb http://mirror.example/debian-security bookworm-security main`
    expect(parseSources('/etc/apt/sources.list', text)).toEqual([
      {
        uris: ['https://mirror.example/debian'],
        suites: ['bookworm'],
        components: ['main', 'contrib'],
        signedBy: '/usr/share/keyrings/a.gpg /b.gpg',
      },
      {
        uris: ['http://mirror.example/debian-security'],
        suites: ['bookworm-security'],
        components: ['main'],
        signedBy: undefined,
      },
    ])
  })
})

const source = (uri: string, suite: string, more: Partial<AptSource> = {}): AptSource => ({
  uris: [uri],
  suites: [suite],
  components: ['main'],
  ...more,
})
const debian = '/usr/share/keyrings/debian-archive-keyring.gpg'

describe('findMirrors', () => {
  it.each([
    [
      "another's archive for Debian",
      source('https://vendor.example/linux/debian', 'bookworm', { components: ['stable'] }),
    ],
    ['a suite of its own', source('https://vendor.example/debian', 'bookworm-pgdg')],
    ['a path that says something else', source('https://vendor.example/debian/12/prod', 'bookworm')],
    ['Ubuntu', source('http://mirror.example/ubuntu', 'noble')],
    ['a CD', source('cdrom:[Debian 12]/', 'bookworm', { signedBy: debian })],
    ['a local folder', source('file:///srv/debian', 'bookworm', { signedBy: debian })],
  ])('does not take %s', (_what, other) => {
    expect(findMirrors([other])).toEqual({ main: undefined, security: undefined })
  })

  it("prefers what Debian's key signs to the path, and no key to another's", () => {
    const foreign = source('http://foreign.example/debian', 'bookworm', { signedBy: '/usr/share/keyrings/vendor.gpg' })
    const plain = source('http://plain.example/debian', 'stable')
    const signed = source('http://signed.example/proxy', 'trixie', { signedBy: debian })
    const mainOf = (...sources: AptSource[]) => findMirrors(sources).main?.uris[0]
    expect(mainOf(foreign, plain, signed)).toBe('http://signed.example/proxy')
    expect(mainOf(foreign, plain)).toBe('http://plain.example/debian')
    expect(mainOf(foreign)).toBe('http://foreign.example/debian')
  })

  it('finds the security archive under its old and new suite names', () => {
    for (const suite of ['bookworm-security', 'buster/updates', 'stable-security']) {
      expect(findMirrors([source('http://a.example/debian-security', suite)]).security).toBeDefined()
    }
  })
})

describe('renderSources', () => {
  it('names the suite, its updates and its security updates, whatever the machine runs', () => {
    const mirrors = findMirrors([
      source('http://a.example/debian', 'bookworm', { signedBy: debian }),
      source('http://a.example/debian-security', 'bookworm-security'),
    ])
    const text = renderSources({ ...mirrors, main: mirrors.main! }, 'trixie', ['main'])
    expect(parseSources('x.sources', text)).toEqual([
      {
        uris: ['http://a.example/debian'],
        suites: ['trixie', 'trixie-updates'],
        components: ['main'],
        signedBy: debian,
      },
      { uris: ['http://a.example/debian-security'], suites: ['trixie-security'], components: ['main'] },
    ])
  })

  it('keeps a key that stands in the source itself', () => {
    const [, security] = parseSources('x.sources', deb822)
    const text = renderSources({ main: security! }, 'trixie', ['main'])
    expect(parseSources('x.sources', text)[0]?.signedBy).toBe(security?.signedBy)
  })

  it('leaves out what a rolling suite does not have', () => {
    expect(renderSources({ main: { uris: ['http://a.example/debian'] } }, 'sid', ['main'])).toContain('Suites: sid\n')
  })
})

describe('namedMirror', () => {
  it.each(['ftp.example/debian', 'http://a b/debian', '-o=x', 'http://', 'x\nhttp://a.example/debian'])(
    'refuses %j',
    uri => {
      expect(() => namedMirror(uri, debian)).toThrow(/is not the address of a Debian mirror/)
    },
  )
})

it.each(['me:s3cret', 'me', 'me:s3@cret', 'me@here:s3cret', ':s3cret'])('K08 redactUris hides %s', login => {
  const text = `URIs: https://${login}@a.example/debian http://b.example/@c/debian x@y`
  expect(redactUris(text)).toBe('URIs: https://a.example/debian http://b.example/@c/debian x@y')
})

it.each(['http://me:s3/cr@et@a b/debian', 'http://me:s3/cret@a.example/debian'])(
  'K08 a refused mirror is shown without its password: %s',
  async uri => {
    const error = (await failureOf(() => namedMirror(uri, debian))) as Error
    expect(error.message).not.toMatch(/s3|cr@?et/)
  },
)
