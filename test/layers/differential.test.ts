import { execFileSync } from 'node:child_process'
import { chmodSync, linkSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../lifecycle/image/digest.ts'
import type { Layer } from '../../lifecycle/image/layer.ts'
import { oci } from '../../lifecycle/image/media-types.ts'
import { layerSource } from '../../lifecycle/layers/tree/pack.ts'
import { unpackImage } from '../../lifecycle/layers/tree/unpack.ts'
import { bytesOf } from '../helpers/images.ts'
import { streamOf } from '../helpers/tar.ts'
import { workDirectory } from './work-directory.ts'
import { writeTree } from '../helpers/tree.ts'

/** A tree with everything that an ordinary user can make. */
async function makeTree(root: string): Promise<void> {
  await writeTree(root, {
    'usr/bin/tool': { script: 'true' },
    'usr/bin/other': { link: 'tool' },
    bin: { link: 'usr/bin' },
    'etc/empty': '',
    'etc/names/ünï': 'x',
    [`${'long-directory-name/'.repeat(12)}file`]: 'deep',
    [`${'n'.repeat(200)}`]: 'long name',
    'far-link': { link: 'target/'.repeat(40) },
    tmp: { dir: true },
  })
  writeFileSync(join(root, 'big'), Buffer.alloc(3_000_001, 'content '))
  writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from('\xff\n', 'latin1')]), 'odd')
  linkSync(join(root, 'usr/bin/tool'), join(root, 'usr/bin/hard'))
  linkSync(join(root, 'big'), join(root, 'etc/big-too'))
  chmodSync(join(root, 'tmp'), 0o1777)
  chmodSync(join(root, 'etc'), 0o500)
  chmodSync(join(root, 'etc/empty'), 0o400)
}

function layerFrom(tar: Buffer): Layer {
  return {
    kind: 'layer',
    diffId: digestOf(tar),
    digest: digestOf(tar),
    size: tar.length,
    mediaType: oci.layer,
    open: () => streamOf(tar),
  }
}

const packed = (hostPath: string): Promise<Buffer> =>
  bytesOf(layerSource('test', [{ kind: 'tree', hostPath, imagePath: '/x', uid: 0, gid: 0 }]).tar())

describe('a tree comes back the same', () => {
  it.each(['gnu', 'oldgnu', 'posix', 'pax'])('from tar --format=%s, by unpackImage', async format => {
    const dir = await workDirectory()
    mkdirSync(join(dir, 'in'))
    await makeTree(join(dir, 'in'))
    const tar = execFileSync('tar', [`--format=${format}`, '-cf', '-', '-C', join(dir, 'in'), '.'], { maxBuffer: 1e8 })
    await unpackImage([layerFrom(tar)], join(dir, 'out'))
    expect((await packed(join(dir, 'out'))).equals(await packed(join(dir, 'in')))).toBe(true)
  })

  it('from layerSource, by tar -x', async () => {
    const dir = await workDirectory()
    for (const name of ['in', 'out']) mkdirSync(join(dir, name))
    await makeTree(join(dir, 'in'))
    const input = await packed(join(dir, 'in'))
    execFileSync('tar', ['-xpf', '-', '-C', join(dir, 'out')], { input, stdio: ['pipe', 'pipe', 'ignore'] })
    expect((await packed(join(dir, 'out/x'))).equals(input)).toBe(true)
  })
})
