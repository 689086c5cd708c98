import { describe, expect, it } from 'vitest'
import { machine, registryWithRun, runLine, stored } from './line.ts'

describe.each(['0.7', '0.9', '0.12', '0.15'])('Platform API %s', api => {
  it('builds, and builds again with what the first build left', async () => {
    const registry = await registryWithRun()
    const m = await machine(api)
    const image = `${registry.host}/app`
    const run = ['-run-image', `${registry.host}/run`]
    const first = await runLine(m, image, { analyzer: run })
    expect(first.detector.lines).toContain('1 of 1 buildpacks participating')
    expect(first.exporter.lines).toEqual(
      expect.arrayContaining([
        "Adding layer 'test/app:modules'",
        "Adding layer 'test/app:both'",
        "Adding cache layer 'test/app:both'",
        "Adding cache layer 'test/app:tools'",
        `Saving ${image}:latest...`,
        `      ${image}:latest`,
      ]),
    )
    const before = stored(registry, 'app')

    await m.renew()
    const second = await runLine(m, image, { analyzer: run })
    expect(second.restorer.lines).toEqual(
      expect.arrayContaining([
        'Restoring metadata for "test/app:modules" from app image',
        'Restoring data for "test/app:both" from cache',
        'Restoring data for "test/app:tools" from cache',
      ]),
    )
    expect(second.builder.lines).toEqual(
      expect.arrayContaining(['reusing modules', 'both is restored', 'tools are restored']),
    )
    expect(second.exporter.lines).toEqual(
      expect.arrayContaining(["Reusing layer 'test/app:modules'", "Reusing cache layer 'test/app:tools'"]),
    )
    expect(stored(registry, 'app').label('lifecycle.metadata')).toMatchObject({
      buildpacks: [{ store: { metadata: { runs: 'again' } } }],
    })
    expect(before.label('lifecycle.metadata')).toMatchObject({
      buildpacks: [{ store: { metadata: { runs: 'first' } } }],
    })
  })
})
