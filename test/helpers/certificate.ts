import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { isIP } from 'node:net'

/** A certificate that its own key has signed, for a server in a test (RFC 5280). Node can read certificates but not create them. */
export function certificateFor(host: string, { days = 1 }: { days?: number } = {}): { key: string; cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = sequence(set(sequence(oid('550403'), der(0x0c, Buffer.from('test')))))
  const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'))
  const now = Date.now()
  const dates = [Math.min(now, now + days * 86_400_000) - 86_400_000, now + days * 86_400_000]
  const altName = isIP(host) === 0 ? der(0x82, Buffer.from(host)) : der(0x87, Buffer.from(host.split('.').map(Number)))
  const extension = (id: string, value: Buffer) => sequence(oid(id), der(0x04, value))
  const body = sequence(
    der(0xa0, integer(Buffer.of(2))),
    integer(Buffer.concat([Buffer.of(1), randomBytes(8)])),
    ecdsaWithSha256,
    name,
    sequence(...dates.map(date => der(0x18, Buffer.from(new Date(date).toISOString().replace(/[-:T]|\.\d+/g, ''))))),
    name,
    publicKey.export({ format: 'der', type: 'spki' }),
    der(
      0xa3,
      // Its own authority (basicConstraints), for this host (subjectAltName).
      sequence(extension('551d13', sequence(der(0x01, Buffer.of(0xff)))), extension('551d11', sequence(altName))),
    ),
  )
  const signature = der(0x03, Buffer.concat([Buffer.of(0), sign('sha256', body, privateKey)]))
  const cert = sequence(body, ecdsaWithSha256, signature).toString('base64')
  return {
    key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${cert.match(/.{1,64}/g)?.join('\n')}\n-----END CERTIFICATE-----\n`,
  }
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.of(tag, ...head), content])
}

const sequence = (...parts: Buffer[]): Buffer => der(0x30, Buffer.concat(parts))
const set = (...parts: Buffer[]): Buffer => der(0x31, Buffer.concat(parts))
const integer = (bytes: Buffer): Buffer => der(0x02, bytes)
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'))
