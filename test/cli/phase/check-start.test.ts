import { expect, it } from 'vitest'
import { type Machine, machine, registryWithRun } from './line.ts'

const starts = (program: string): string =>
  `printf '[[processes]]\\ntype = "web"\\ncommand = ["${program}"]\\n' >"$CNB_LAYERS_DIR/launch.toml"`

async function built(
  build: string,
): Promise<{ readonly m: Machine; readonly image: string; readonly pushed: () => number }> {
  const registry = await registryWithRun()
  const m = await machine('0.15', {}, { build })
  const image = `${registry.host}/app`
  for (const [name, args] of [
    ['analyzer', ['-run-image', `${registry.host}/run`, image]],
    ['detector', []],
    ['restorer', []],
    ['builder', []],
  ] as const) {
    const { status, said } = await m.run(name, args)
    expect(status, said).toBe(0)
  }
  return { m, image, pushed: () => registry.manifests.size }
}

it('exporter -check-start makes no image whose process starts a program that it has not', async () => {
  const { m, image, pushed } = await built(starts('no-such-program'))
  const before = pushed()
  const { status, said } = await m.run('exporter', ['-check-start', image])
  expect(said).toMatch(/web.*no-such-program/)
  expect(status).toBe(51)
  expect(pushed()).toBe(before)
  // Other lifecycles take the image, and so does exporter where nobody asks.
  const unasked = await m.run('exporter', [image])
  expect(unasked.status, unasked.said).toBe(0)
})

it('exporter -check-start lets a program of the application pass', async () => {
  const { m, image } = await built(`printf '#!/bin/sh\\n' >start; chmod 755 start; ${starts('./start')}`)
  const { status, said } = await m.run('exporter', ['-check-start', image])
  expect(status, said).toBe(0)
})
