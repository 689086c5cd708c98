import { crc32, deflateRawSync } from 'node:zlib'

export interface ZipEntry {
  readonly name: string
  readonly content?: string | Buffer
  /** st_mode, for an archive made on Unix; absent: made on DOS. */
  readonly mode?: number
  /** What the archive says instead of the truth. */
  readonly crc?: number
  readonly size?: number
  readonly flags?: number
  readonly method?: number
  /** Has the bytes of the entry before it. */
  readonly shared?: boolean
}

/** A zip archive (APPNOTE.TXT, 4.3), with whatever its entries claim. */
export function zipOf(...entries: readonly ZipEntry[]): Buffer {
  const parts: Buffer[] = []
  const central: Buffer[] = []
  let [at, last] = [0, 0]
  for (const entry of entries) {
    const content = Buffer.from(entry.content ?? '')
    const data = deflateRawSync(content)
    const name = Buffer.from(entry.name)
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt16LE(entry.flags ?? 0x800, 2) // names are UTF-8
    common.writeUInt16LE(entry.method ?? 8, 4)
    common.writeUInt32LE(0x58210000, 6) // 2024-01-01
    common.writeUInt32LE(entry.crc ?? crc32(content), 10)
    common.writeUInt32LE(data.length, 14)
    common.writeUInt32LE(entry.size ?? content.length, 18)
    common.writeUInt16LE(name.length, 22)
    const offset = entry.shared === true ? last : at
    if (entry.shared !== true) {
      const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, name, data])
      parts.push(local)
      at += local.length
    }
    last = offset
    const tail = Buffer.alloc(14)
    tail.writeUInt32LE(((entry.mode ?? 0) << 16) >>> 0, 6)
    tail.writeUInt32LE(offset, 10)
    const madeBy = Buffer.from([20, entry.mode === undefined ? 0 : 3])
    central.push(Buffer.from('PK\x01\x02'), madeBy, common, tail, name)
  }
  const directory = Buffer.concat(central)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06')
  end.writeUInt16LE(entries.length, 8)
  end.writeUInt16LE(entries.length, 10)
  end.writeUInt32LE(directory.length, 12)
  end.writeUInt32LE(at, 16)
  return Buffer.concat([...parts, directory, end])
}

/** A zip archive of files. */
export const zip = (files: Readonly<Record<string, string>>): Buffer =>
  zipOf(...Object.entries(files).map(([name, content]) => ({ name, content })))
