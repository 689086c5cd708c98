import { readdir } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { openEmulation } from '../../lifecycle/engines/emulation.ts'
import { openLayers } from '../../lifecycle/engines/overlay.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const emulator = { architecture: 'arm64', registration: ':qemu:M::x:y:/usr/bin/qemu:FP' }

describe('registering an emulator for a sandbox', () => {
  it('is done in a namespace of its own, in a directory that goes', async () => {
    const tmpDir = await temporaryDirectory()
    const { wrapper, ...emulation } = await openEmulation(emulator, undefined, { tmpDir })
    expect(wrapper?.argv.slice(0, 4)).toEqual(['unshare', '--user', '--map-root-user', '--mount'])
    expect(wrapper?.argv.slice(-2)).toEqual(['binfmt', emulator.registration])
    expect(await readdir(wrapper?.cwd ?? '')).toEqual(['binfmt'])
    await emulation[Symbol.asyncDispose]()
    expect(await readdir(tmpDir)).toEqual([])
  })

  it('is done in the namespace in which layers are mounted, after that', async () => {
    const [tmpDir, layer] = [await temporaryDirectory(), await temporaryDirectory()]
    await using root = await openLayers([layer, layer], [], tmpDir)
    const { wrapper } = await openEmulation(emulator, root.wrapper, { tmpDir })
    const { argv } = root.wrapper
    expect(wrapper?.argv.slice(0, argv.length)).toEqual(argv)
    expect(wrapper?.argv.filter(word => word === 'unshare')).toHaveLength(1)
    expect(wrapper?.argv.slice(-2)).toEqual(['binfmt', emulator.registration])
    expect(await readdir(root.wrapper.cwd)).toContain('binfmt')
  })

  it('is not needed for what the machine runs', async () => {
    const tmpDir = await temporaryDirectory()
    expect((await openEmulation(undefined, undefined, { tmpDir })).wrapper).toBeUndefined()
    expect((await openEmulation({ architecture: 'arm64' }, undefined, { tmpDir })).wrapper).toBeUndefined()
    await using root = await openLayers([tmpDir], [], tmpDir)
    expect((await openEmulation({ architecture: 'arm64' }, root.wrapper, { tmpDir })).wrapper).toEqual(root.wrapper)
  })

  it('needs a directory', async () => {
    expect(await failureOf(openEmulation(emulator, undefined, {}))).toMatchObject({ code: 'engine' })
  })
})
