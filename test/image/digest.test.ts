import { describe, expect, it } from 'vitest'
import { digestOf, hexOf, isDigest, parseDigest } from '../../lifecycle/image/digest.ts'

const ofNothing = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

describe('digests', () => {
  it('are sha256 of the bytes', () => {
    expect(digestOf('')).toBe(`sha256:${ofNothing}`)
    expect(digestOf(new Uint8Array())).toBe(`sha256:${ofNothing}`)
    expect(hexOf(digestOf(''))).toBe(ofNothing)
  })

  it('are taken as they are written', () => {
    expect(isDigest(`sha256:${ofNothing}`)).toBe(true)
    expect(parseDigest(`sha256:${ofNothing}`, 'here')).toBe(`sha256:${ofNothing}`)
  })

  it.each([
    undefined,
    null,
    7,
    '',
    ofNothing,
    'sha256:',
    `sha256:${ofNothing.toUpperCase()}`,
    `sha256:${ofNothing}0`,
    `sha256:${ofNothing}\n`,
    `SHA256:${ofNothing}`,
    `sha512:${ofNothing}${ofNothing}`,
    `md5:${ofNothing.slice(0, 32)}`,
    'sha256:../../../../../../../../../../../../../../../../../../etc/passwd',
  ])('R37 refuses %j, saying where it stood', text => {
    expect(isDigest(text)).toBe(false)
    expect(() => parseDigest(text, 'manifest.json config.digest')).toThrow(
      expect.objectContaining({ code: 'input', where: 'manifest.json config.digest' }),
    )
  })
})
