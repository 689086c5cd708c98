import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { chooseApps, currentLanding, mostApps, readApps, type TestApp, turns } from './helpers/apps.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { writeTree } from './helpers/tree.ts'

const apps = readApps()
const names = (chosen: readonly TestApp[]) => chosen.map(({ name }) => name)
const rotation = (number: number, changed: string[] = []) => chooseApps(apps, 'rotation', () => ({ number, changed }))

describe('the applications that are really built', () => {
  it.each(apps)('$name expects something of its build', ({ expected }) => {
    const { exit = 0, error, http, run, log } = expected
    if (exit !== 0) expect(error).toBeDefined()
    else expect(http ?? run ?? log).toBeDefined()
  })

  it('are all built by three commits in a row, in parts of about the same size', () => {
    for (const first of [0, 1, 350]) {
      const parts = Array.from({ length: turns }, (_, turn) => rotation(first + turn))
      const quick = chooseApps(apps, 'quick', currentLanding)
      expect(names([...parts.flat(), ...quick]).toSorted()).toEqual(names(apps))
      for (const part of parts) expect(part.length).toBeLessThan(apps.length / 2)
    }
  })

  it('are built by each commit that changes them or a buildpack of theirs', () => {
    const ofGo = apps.filter(({ expected }) => expected.detect?.includes('bale/go') === true && !expected.quick)
    for (let number = 0; number < turns; number++) {
      expect(names(rotation(number, ['buildpacks/go/compile.ts']))).toEqual(expect.arrayContaining(names(ofGo)))
      expect(names(rotation(number, ['test/apps/node-native/index.js']))).toContain('node-native')
      expect(names(rotation(number, ['README.md']))).toEqual(names(rotation(number)))
      // All that two languages have, and an app by itself: more than a run has time for.
      const many = rotation(number, ['buildpacks/nodejs/x', 'buildpacks/python/x', 'test/apps/go-plain/main.go'])
      expect(many.length).toBeLessThanOrEqual(mostApps)
      expect(names(many)).toEqual(expect.arrayContaining([...names(rotation(number)), 'go-plain']))
    }
  })

  it('can be named', () => {
    expect(names(chooseApps(apps, 'node-native,go-c', currentLanding))).toEqual([
      'go-cgo',
      'go-commands',
      'node-native',
    ])
    expect(() => chooseApps(apps, 'cobol', currentLanding)).toThrow('cobol')
  })

  it('have no turn of their own in a tree without history', async () => {
    expect(currentLanding(await temporaryDirectory())).toEqual({ number: 0, changed: [] })
  })

  it('have no misspelt expectation', async () => {
    const dir = await temporaryDirectory()
    await writeTree(dir, { 'app/expect.json': '{ "http": { "path": "/", "status": 200, "boddy": "" } }' })
    expect(() => readApps(dir)).toThrow(
      expect.objectContaining({ where: join(dir, 'app/expect.json http.body'), message: 'it is missing' }) as Error,
    )
  })
})
