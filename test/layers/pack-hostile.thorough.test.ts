import { execFileSync, spawnSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { OpenDirectory } from '../../lifecycle/files/open-directory.ts'
import type { LayerEntry } from '../../lifecycle/layers/tree/entries.ts'
import { fingerprintTree } from '../../lifecycle/layers/tree/fingerprint.ts'
import { layerSource, listTree } from '../../lifecycle/layers/tree/pack.ts'
import { readTar } from '../../lifecycle/layers/tar/reader.ts'
import { TreeWriter } from '../../lifecycle/layers/tree/tree-writer.ts'
import { failureOf } from '../helpers/failure.ts'
import { bytesOf } from '../helpers/images.ts'
import { skip } from '../helpers/skip.ts'
import { streamOf } from '../helpers/tar.ts'
import { workDirectory } from './work-directory.ts'
import { writeTree } from '../helpers/tree.ts'
import { asOrdinaryUser } from '../helpers/user.ts'

// The oracle: a layer has what its tree had, byte for byte and in one order, or there is one error that names the file,
// escaped; sockets are left out with a warning; nothing is opened that could hang, no link is followed, and what lies outside
// of the tree (TOP SECRET) is in no layer.

const owner = { uid: 1000, gid: 1000 }
let dir: string
let layer: string
let secrets: string

beforeEach(async () => {
  dir = await workDirectory()
  chmodSync(dir, 0o755)
  layer = join(dir, 'layers/bp/layer')
  secrets = join(dir, 'home')
  await writeTree(dir, { 'layers/bp/layer': { dir: true }, 'home/config.json': 'TOP SECRET' })
})

const tree = (hostPath = layer): LayerEntry => ({ kind: 'tree', hostPath, imagePath: '/layers/bp/layer', ...owner })

interface Packed {
  names: string[]
  bytes: Buffer
  warnings: string[]
}
async function pack(...entries: LayerEntry[]): Promise<Packed> {
  const warnings: string[] = []
  const bytes = await bytesOf(layerSource('test', entries, { onWarning: text => warnings.push(text) }).tar())
  const names: string[] = []
  await readTar(streamOf(bytes), { entry: e => void names.push(e.name), data() {}, endOfFile() {} })
  return { names, bytes, warnings }
}

const refusal = (...entries: LayerEntry[]): Promise<unknown> => failureOf(pack(...entries))
const naming = (path: string, message: RegExp): unknown =>
  expect.objectContaining({
    name: 'BaleError',
    code: 'filesystem',
    where: path,
    message: expect.stringMatching(message) as string,
  })

/** Packs, and does something as soon as the first block is there: at that time the walk is within `first`, 3 MB long. */
async function packWhile(mischief: () => void): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of layerSource('test', [tree()]).tar()) {
    if (chunks.length === 0) mischief()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

describe('the source tree', () => {
  it('S01 leaves sockets out, with a warning that names them', async () => {
    const server = createServer().listen(join(layer, 'app.sock'))
    onTestFinished(() => void server.close())
    await new Promise(resolve => server.once('listening', resolve))
    await writeTree(layer, { file: 'x' })
    const { names, warnings } = await pack(tree())
    expect(names).toEqual(['/layers/bp/layer', '/layers/bp/layer/file'])
    expect(warnings).toEqual([`not in the layer, which cannot contain sockets: ${layer}/app.sock`])
  })

  it('S02 X29 refuses a fifo without opening it', async () => {
    execFileSync('mkfifo', [join(layer, 'pipe')])
    expect(await refusal(tree())).toEqual(naming(join(layer, 'pipe'), /pipe is a named pipe/))
    const entry: LayerEntry = {
      kind: 'host-file',
      hostPath: join(layer, 'pipe'),
      imagePath: '/p',
      mode: 0o644,
      ...owner,
    }
    expect(await refusal(entry)).toEqual(naming(join(layer, 'pipe'), /not a regular file/))
    const paths = [Buffer.from('pipe')]
    expect(await refusal({ kind: 'paths', hostPath: layer, imagePath: '/p', paths, ...owner })).toEqual(
      naming(join(layer, 'pipe'), /named pipe/),
    )
  })

  it('S03 refuses a device without opening it', async () => {
    const paths = [Buffer.from('null')]
    expect(await refusal({ kind: 'paths', hostPath: '/dev', imagePath: '/dev', paths, ...owner })).toEqual(
      naming('/dev/null', /is a device/),
    )
    expect(await refusal({ kind: 'host-file', hostPath: '/dev/null', imagePath: '/null', mode: 0, ...owner })).toEqual(
      naming('/dev/null', /not a regular file/),
    )
  })

  it('S04 names a file, a directory or a root that cannot be read', async () => {
    await writeTree(layer, { 'closed/file': 'x' })
    chmodSync(join(layer, 'closed/file'), 0)
    expect(await asOrdinaryUser(() => refusal(tree()))).toEqual(naming(`${layer}/closed/file`, /permission denied/))
    chmodSync(join(layer, 'closed'), 0)
    expect(await asOrdinaryUser(() => refusal(tree()))).toEqual(naming(`${layer}/closed`, /permission denied/))
    expect(await asOrdinaryUser(() => failureOf(listTree(layer)))).toEqual(
      naming(`${layer}/closed`, /permission denied/),
    )
    chmodSync(layer, 0)
    expect(await asOrdinaryUser(() => refusal(tree()))).toEqual(naming(layer, /permission denied/))
  })

  it('S05 S06 keeps links as links, in a loop or leading out', async () => {
    await writeTree(layer, {
      loop: { link: 'loop' },
      up: { link: '../../../home' },
      secret: { link: `${secrets}/config.json` },
    })
    const { names, bytes } = await pack(tree())
    expect(names).toHaveLength(4)
    expect(bytes.includes('TOP SECRET')).toBe(false)
  })

  it('S07 X22 stores hard links as copies: what was linked could have been copied as well', async () => {
    writeFileSync(join(dir, 'outside'), 'content of the file')
    linkSync(join(dir, 'outside'), join(layer, 'a'))
    linkSync(join(dir, 'outside'), join(layer, 'b'))
    expect((await pack(tree())).bytes.toString('latin1').split('content of the file')).toHaveLength(3)
  })

  it('S08 takes the fingerprint of more directories in one place than a call takes arguments', async () => {
    for (let i = 0; i < 130_000; i++) mkdirSync(join(dir, `${i}`))
    expect(await fingerprintTree(dir)).toMatch(/^[0-9a-f]{64}$/)
  })

  it('S08 packs 100,000 files in one directory', async () => {
    for (let i = 0; i < 100_000; i++) writeFileSync(join(layer, `f${i}`), '')
    const { names } = await pack(tree())
    expect(names).toHaveLength(100_001)
    expect(names.slice(0, 4).map(name => name.slice(16))).toEqual(['', '/f0', '/f1', '/f10'])
  }, 60_000)

  it('S09 S16 keeps names as bytes, and escapes them in messages', async () => {
    const odd = Buffer.from(`${layer}/evil\x1b[31m\n\xff`, 'latin1')
    execFileSync(
      'mkfifo',
      [odd.toString('latin1')].map(() => 'plain'),
      { cwd: layer },
    )
    renameSync(join(layer, 'plain'), odd)
    expect(await refusal(tree())).toEqual(naming(`${layer}/evil\\x1b[31m\\n\\xff`, /is a named pipe/))
  })

  it('S10 refuses a path that no Linux could unpack, and names it in short', async () => {
    const writer = new TreeWriter(OpenDirectory.open(layer))
    writer.directory('d/'.repeat(3000) + 'd', 0o755)
    writer.finish()
    writer.close()
    const message = /a path in a layer has \d+ bytes; Linux opens none over 4095/
    const error = await refusal(tree())
    expect(error).toMatchObject({ code: 'filesystem', message: expect.stringMatching(message) as string })
    expect((error as { where: string }).where.length).toBeLessThan(400)
    expect(await failureOf(listTree(layer))).toMatchObject({
      code: 'filesystem',
      message: expect.stringMatching(/4095/) as string,
    })
  })

  describe('S11 a file that changes while it is read', () => {
    const first = (): string => join(layer, 'first')
    beforeEach(() => writeFileSync(first(), 'x'.repeat(3_000_000)))

    it('grows', async () => {
      expect(await failureOf(packWhile(() => appendFileSync(first(), 'more')))).toEqual(
        naming(first(), /changed while it was read/),
      )
    })
    it('grows, and has its time set back', async () => {
      utimesSync(first(), 1_000_000, 1_000_000)
      const mischief = (): void => {
        appendFileSync(first(), 'more')
        utimesSync(first(), 1_000_000, 1_000_000)
      }
      expect(await failureOf(packWhile(mischief))).toEqual(naming(first(), /changed while it was read/))
    })
    it('shrinks', async () => {
      expect(await failureOf(packWhile(() => truncateSync(first(), 10)))).toEqual(
        naming(first(), /changed while it was read/),
      )
    })
    it('is rewritten at the same size', async () => {
      expect(await failureOf(packWhile(() => writeFileSync(first(), 'y'.repeat(3_000_000))))).toEqual(
        naming(first(), /changed while it was read/),
      )
    })
    it('is replaced, and packed as it was', async () => {
      const bytes = await packWhile(() => {
        writeFileSync(join(dir, 'other'), 'TOP SECRET')
        renameSync(join(dir, 'other'), first())
      })
      expect(bytes.includes('TOP SECRET')).toBe(false)
      expect(bytes.length).toBeGreaterThan(3_000_000)
    })
    it.each([
      ['vanishes before it is reached', (path: string) => unlinkSync(path), /was removed/],
      ['becomes a directory', (path: string) => (unlinkSync(path), mkdirSync(path)), /not a regular file/],
      ['becomes a fifo', (path: string) => (unlinkSync(path), execFileSync('mkfifo', [path])), /not a regular file/],
    ])('%s', async (_what, mischief, message) => {
      writeFileSync(join(layer, 'second'), 'x')
      expect(await failureOf(packWhile(() => void mischief(join(layer, 'second'))))).toEqual(
        naming(join(layer, 'second'), message),
      )
    })
    it('a directory vanishes before it is reached', async () => {
      mkdirSync(join(layer, 'second'))
      expect(await failureOf(packWhile(() => rmSync(join(layer, 'second'), { recursive: true })))).toEqual(
        naming(join(layer, 'second'), /was removed/),
      )
    })
    it('a link becomes a file', async () => {
      symlinkSync('x', join(layer, 'second'))
      const mischief = (): void => {
        unlinkSync(join(layer, 'second'))
        writeFileSync(join(layer, 'second'), 'x')
      }
      expect(await failureOf(packWhile(mischief))).toEqual(
        naming(join(layer, 'second'), /was replaced while it was read/),
      )
    })
  })

  it('S12 X47 refuses a sparse file of 1 TB, with its size and the limit', async () => {
    writeFileSync(join(layer, 'sparse'), '')
    truncateSync(join(layer, 'sparse'), 2 ** 40)
    const open = (): number => readdirSync('/proc/self/fd').length
    const before = open()
    expect(await refusal(tree())).toMatchObject({
      code: 'input',
      where: join(layer, 'sparse'),
      message: 'it has 1099511627776 bytes, nearly all of them holes; the limit for such a file is 17179869184',
    })
    expect(open()).toBe(before)
  })

  it('S12 streams a sparse file of 10 GB in little memory', async () => {
    writeFileSync(join(layer, 'sparse'), '')
    truncateSync(join(layer, 'sparse'), 10 * 2 ** 30)
    const memory = process.memoryUsage.rss()
    let bytes = 0
    for await (const chunk of layerSource('test', [tree()]).tar()) {
      bytes += chunk.length
      if (bytes > 500_000_000) break
    }
    expect(process.memoryUsage.rss() - memory).toBeLessThan(250_000_000)
  })

  it('S13 takes setuid and setgid from files, with one warning that names them; keeps setgid and sticky of directories', async () => {
    await writeTree(layer, { a: 'x', b: 'x', c: 'x', d: { dir: true } })
    chmodSync(join(layer, 'a'), 0o4755)
    chmodSync(join(layer, 'b'), 0o2711)
    chmodSync(join(layer, 'c'), 0o1755)
    chmodSync(join(layer, 'd'), 0o3777)
    const { bytes, warnings } = await pack(tree())
    const modes: number[] = []
    await readTar(streamOf(bytes), { entry: e => void modes.push(e.mode), data() {}, endOfFile() {} })
    expect(modes.slice(1)).toEqual([0o755, 0o711, 0o755, 0o3777])
    expect(warnings).toEqual([`without setuid and setgid bits in the layer: ${layer}/a, ${layer}/b`])
  })

  it('S13 leaves capabilities and other extended attributes out: the layer is the same without', async context => {
    await writeTree(layer, { tool: 'x' })
    const { bytes } = await pack(tree())
    const { status, error } = spawnSync('setcap', ['cap_net_raw+ep', join(layer, 'tool')])
    if (status !== 0) return skip(context, `setcap cannot be used: ${error?.message ?? 'it needs root'}`)
    expect((await pack(tree())).bytes.equals(bytes)).toBe(true)
  })

  it('S13 keeps a warning of many files to one line, and gives it once', async () => {
    for (let i = 0; i < 1000; i++) {
      writeFileSync(join(layer, String(i)), '')
      chmodSync(join(layer, String(i)), 0o4755)
    }
    const warnings: string[] = []
    const source = layerSource('test', [tree()], { onWarning: text => warnings.push(text) })
    await bytesOf(source.tar())
    await bytesOf(source.tar())
    expect(warnings).toEqual([expect.stringMatching(/\/0, .*\/1, .*\/10, .* and 995 more$/)])
  })

  const unshare = ['--user', '--map-root-user', '--mount', 'true']
  const canMount = spawnSync('unshare', unshare).status === 0
  it.skipIf(!canMount)('S14 takes a mount below the tree for a part of it', () => {
    mkdirSync(join(layer, 'volume'))
    const script = `
      import { layerSource } from ${JSON.stringify(join(import.meta.dirname, '../../lifecycle/layers/tree/pack.ts'))}
      const chunks = []
      for await (const chunk of layerSource('test', [${JSON.stringify(tree())}]).tar()) chunks.push(chunk)
      process.stdout.write(Buffer.concat(chunks))`
    const command = `mount -t tmpfs none "$1" && echo mounted > "$1/file" && exec "$2" --input-type=module-typescript -e "$3"`
    const args = [...unshare.slice(0, -1), 'sh', '-ec', command, 'sh', join(layer, 'volume'), process.execPath, script]
    expect(execFileSync('unshare', args).includes('mounted\n')).toBe(true)
  })

  it('refuses names that would delete something in the image', async () => {
    writeFileSync(join(layer, '.wh.passwd'), '')
    expect(await refusal(tree())).toEqual(naming(join(layer, '.wh.passwd'), /means "deleted"/))
    unlinkSync(join(layer, '.wh.passwd'))
    mkdirSync(join(layer, '.wh..wh..opq'))
    expect(await refusal(tree())).toEqual(naming(join(layer, '.wh..wh..opq'), /means "deleted"/))
    writeFileSync(join(layer, '.wh..wh..opq/file'), '')
    expect(
      await refusal({
        kind: 'paths',
        hostPath: layer,
        imagePath: '/app',
        paths: [Buffer.from('.wh..wh..opq/file')],
        ...owner,
      }),
    ).toEqual(naming(join(layer, '.wh..wh..opq/file'), /means "deleted"/))
    const paths = [Buffer.from('.wh..wh..opq')]
    expect(await refusal({ kind: 'paths', hostPath: layer, imagePath: '/app', paths, ...owner })).toEqual(
      naming(join(layer, '.wh..wh..opq'), /means "deleted"/),
    )
  })
})

describe('the export boundary', () => {
  const first = (): void => writeFileSync(join(layer, 'first'), 'x'.repeat(3_000_000))

  it('X20 a layer directory that is a link', async () => {
    rmSync(layer, { recursive: true })
    symlinkSync(secrets, layer)
    expect(await refusal(tree())).toEqual(naming(layer, /not a directory/))
    expect(await failureOf(listTree(layer))).toEqual(naming(layer, /not a directory/))
    for (const end of ['/', '/.', '//'])
      expect(await refusal(tree(layer + end))).toMatchObject({
        message: expect.stringMatching(/not a directory/) as string,
      })
  })

  it('X21 X23 a file that is a link', async () => {
    symlinkSync(join(secrets, 'config.json'), join(layer, 'launch.sbom.cdx.json'))
    const hostPath = join(layer, 'launch.sbom.cdx.json')
    const entry: LayerEntry = { kind: 'host-file', hostPath, imagePath: '/sbom', mode: 0o644, ...owner }
    expect(await refusal(entry)).toEqual(naming(hostPath, /is a symbolic link/))
    expect((await pack(tree())).bytes.includes('TOP SECRET')).toBe(false)
  })

  it('X24 a file swapped for a link while packing', async () => {
    first()
    writeFileSync(join(layer, 'second'), 'x')
    const swap = (): void => {
      unlinkSync(join(layer, 'second'))
      symlinkSync(join(secrets, 'config.json'), join(layer, 'second'))
    }
    expect(await failureOf(packWhile(swap))).toEqual(naming(join(layer, 'second'), /is a symbolic link/))
  })

  it('X25 a directory swapped for a link before it is reached', async () => {
    first()
    mkdirSync(join(layer, 'second'))
    const swap = (): void => {
      rmSync(join(layer, 'second'), { recursive: true })
      symlinkSync(secrets, join(layer, 'second'))
    }
    expect(await failureOf(packWhile(swap))).toEqual(naming(join(layer, 'second'), /not a directory/))
  })

  it('X25 a parent swapped for a link while within: its descriptor is held', async () => {
    await writeTree(layer, { 'sub/config.json': 'harmless' })
    writeFileSync(join(layer, 'sub/a'), 'x'.repeat(3_000_000))
    const bytes = await packWhile(() => {
      renameSync(join(layer, 'sub'), join(dir, 'aside'))
      symlinkSync(secrets, join(layer, 'sub'))
    })
    expect(bytes.includes('harmless')).toBe(true)
    expect(bytes.includes('TOP SECRET')).toBe(false)
  })

  it('X26 a layer renamed while packing is packed as it was', async () => {
    first()
    await writeTree(layer, { 'sub/file': 'still there' })
    const bytes = await packWhile(() => renameSync(layer, join(dir, 'elsewhere')))
    expect(bytes.includes('still there')).toBe(true)
  })

  it('X30 a parent of the layer swapped for a link: `within` says from where on nothing is trusted', async () => {
    await writeTree(dir, { 'home/layer/config.json': 'TOP SECRET' })
    rmSync(join(dir, 'layers/bp'), { recursive: true })
    symlinkSync(secrets, join(dir, 'layers/bp'))
    const within = join(dir, 'layers')
    const sbom: LayerEntry = {
      kind: 'host-file',
      hostPath: join(layer, 'config.json'),
      imagePath: '/s',
      mode: 0o644,
      ...owner,
    }
    expect(await refusal({ ...tree(), within } as LayerEntry)).toEqual(naming(layer, /not a directory/))
    expect(await refusal({ ...sbom, within })).toEqual(naming(sbom.hostPath, /not a directory/))
    expect(await failureOf(listTree(layer, { within }))).toEqual(naming(layer, /not a directory/))
    rmSync(within, { recursive: true })
    symlinkSync(dir, within)
    expect(await refusal({ ...tree(), within } as LayerEntry)).toEqual(naming(layer, /not a directory/))
  })

  it('a place that is not within where it should be', async () => {
    expect(await refusal({ ...tree(secrets), within: join(dir, 'layers') } as LayerEntry)).toMatchObject({
      message: expect.stringMatching(/is not within/) as string,
    })
  })

  it.each(['../home/config.json', 'a/../../../../home/config.json', '/etc/passwd', 'a//b', './a', 'a/', '..'])(
    'a chosen path that leads out: %s',
    async path => {
      await writeTree(layer, { 'a/b': 'x' })
      const error = await refusal({
        kind: 'paths',
        hostPath: layer,
        imagePath: '/a',
        paths: [Buffer.from(path)],
        ...owner,
      })
      expect(error).toMatchObject({
        name: 'BaleError',
        message: expect.stringMatching(/not a plain relative path/) as string,
      })
    },
  )

  it('a chosen path through a link', async () => {
    symlinkSync(secrets, join(layer, 'out'))
    const paths = [Buffer.from('out/config.json')]
    expect(await refusal({ kind: 'paths', hostPath: layer, imagePath: '/a', paths, ...owner })).toEqual(
      naming(join(layer, 'out/config.json'), /not a directory/),
    )
  })

  it('stops when it is aborted, and lets go of every descriptor', async () => {
    first()
    const open = (): number => readdirSync('/proc/self/fd').length
    const before = open()
    const stop = new AbortController()
    const reading = async (): Promise<void> => {
      for await (const _chunk of layerSource('test', [tree()]).tar(stop.signal)) stop.abort(new Error('enough'))
    }
    expect(await failureOf(reading())).toEqual(new Error('enough'))
    expect(open()).toBe(before)
  })
})
