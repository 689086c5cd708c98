import { join } from 'node:path'
import { mkdir, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { BaleError } from '../../lifecycle/errors.ts'
import { makeImage } from '../../lifecycle/image/image.ts'
import { selectStaticRunImage } from '../../lifecycle/platform/static-run-image.ts'
import { needsNothing } from '../../lifecycle/spec/run-image-needs.ts'
import { formatToml } from '../../lifecycle/spec/toml.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { type Tree, writeTree } from '../helpers/tree.ts'

/** The head of a program for Linux on amd64, with segments of the given types. */
function elf(...segments: number[]): Buffer {
  const bytes = Buffer.alloc(64 + 56 * segments.length)
  bytes.writeUInt32BE(0x7f454c46)
  bytes.set([2, 1, 1], 4)
  bytes.writeBigUInt64LE(64n, 32)
  bytes.writeUInt16LE(56, 54)
  bytes.writeUInt16LE(segments.length, 56)
  for (const [i, type] of segments.entries()) bytes.writeUInt32LE(type, 64 + i * 56)
  return bytes
}
const [load, interpreter] = [1, 3]
const program = '/layers/acme_go/programs/bin/web'

interface Built {
  readonly program?: Uint8Array | '' | undefined
  readonly labels?: readonly { key: string; value: string }[]
  readonly processes?: readonly { command: string[]; direct?: boolean; 'buildpack-id'?: string }[]
  readonly layers?: Tree
  readonly ensure?: () => Promise<string>
}

async function select(built: Built) {
  const dir = await temporaryDirectory()
  const { labels = [needsNothing], processes = [{ command: [program] }], layers = {} } = built
  const document = {
    labels,
    processes: processes.map((process, i) => ({
      type: `p${i}`,
      args: [],
      direct: true,
      'buildpack-id': 'acme/go',
      ...process,
    })),
  }
  await writeTree(join(dir, 'layers'), {
    'config/metadata.toml': formatToml(document),
    'acme_go/programs.toml': '[types]\nlaunch = true\n',
    ...layers,
  })
  if (built.program !== '') {
    await mkdir(join(dir, 'layers/acme_go/programs/bin'), { recursive: true })
    await writeFile(join(dir, 'layers/acme_go/programs/bin/web'), built.program ?? elf(load, load))
  }
  const output = {
    layersDir: { host: join(dir, 'layers'), image: '/layers' },
    appDir: { host: join(dir, 'app'), image: '/workspace' },
    group: ['acme/go', 'acme/other'].map(id => ({ id, version: '1', api: '0.10' })),
    owner: { uid: 1000, gid: 1000 },
  }
  const events: string[] = []
  const image = makeImage({ architecture: 'amd64', os: 'linux' } as never, [])
  const chosen = await selectStaticRunImage(
    output,
    {
      ensure: built.ensure ?? (() => Promise.resolve('bale.local/stacks/static:run')),
      store: { pull: () => Promise.resolve(image) },
      platform: { os: 'linux', architecture: 'amd64' },
      reporter: { event: event => void events.push('text' in event ? event.text : event.type), close: async () => {} },
    },
    new AbortController().signal,
  )
  return { chosen: chosen?.name, events }
}

describe('the run image without shell and C library', () => {
  it('is chosen for a statically linked program whose buildpack says that it needs nothing', async () => {
    const { chosen, events } = await select({})
    expect(chosen).toBe('bale.local/stacks/static:run')
    expect(events).toEqual([
      'The programs need no libraries, so the run image is bale.local/stacks/static:run; --run-image selects another',
    ])
  })

  it('is chosen where the layer is that of the previous image, whose bytes are not here', async () => {
    expect((await select({ program: '' })).chosen).toBeDefined()
  })

  it.each<[string, Built]>([
    ['the buildpack says nothing', { labels: [] }],
    ['the label has another value', { labels: [{ ...needsNothing, value: 'libc' }] }],
    ['there is no process', { processes: [] }],
    ['the program has an interpreter', { program: elf(load, interpreter) }],
    ['the program is a script', { program: Buffer.from(`#!/bin/sh\n${' '.repeat(64)}`) }],
    ['the program is cut off', { program: elf(load, load).subarray(0, 100) }],
    ['a shell starts it', { processes: [{ command: [program], direct: false }] }],
    ['one process is a script', { processes: [{ command: [program] }, { command: ['bash', '-c', 'x'] }] }],
    ['the program is in the application', { processes: [{ command: ['/workspace/web'] }] }],
    ['the program is in no launch layer', { processes: [{ command: ['/layers/acme_go/other/bin/web'] }] }],
    [
      'another buildpack has a process',
      { processes: [{ command: [program] }, { command: [program], 'buildpack-id': 'acme/other' }] },
    ],
    ['another buildpack has a launch layer', { layers: { 'acme_other/certs.toml': '[types]\nlaunch = true\n' } }],
  ])('is not chosen where %s', async (_name, built) => {
    expect(await select(built)).toEqual({ chosen: undefined, events: [] })
  })

  it('is done without, with a warning, where it cannot be made', async () => {
    const ensure = () => Promise.reject(new BaleError('failed', 'there is no mmdebstrap'))
    expect(await select({ ensure })).toEqual({
      chosen: undefined,
      events: ['a smaller run image cannot be made here: there is no mmdebstrap'],
    })
  })
})
