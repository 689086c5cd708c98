import { join } from 'node:path'
import { describe, it } from 'vitest'
import { chooseApps, currentLanding, readApps, type TestApp } from './helpers/apps.ts'
import { bale, serveAndAsk } from './helpers/bale.ts'
import { serveGit } from './helpers/git-remote.ts'
import { readImageFiles } from './helpers/image-files.ts'

const wanted = process.env['BALE_TEST_APPS'] ?? 'rotation'
const chosen = chooseApps(readApps(), wanted, currentLanding)

// Two at a time: an app waits for registries as long as it computes.
describe.concurrent(`applications: ${wanted}`, () => {
  it.for(chosen)('$name', async ({ name, dir, expected }: TestApp, { expect }) => {
    const image = `bale-test-app-${name}`
    await using remote = expected.remote === undefined ? undefined : await serveGit(join(dir, expected.remote))
    const variables = { ...expected.env, ...(remote && { GIT_REMOTE: remote.url }) }
    const env = Object.entries(variables).flatMap(([key, value]) => ['--env', `${key}=${value}`])
    const built = await bale(['build', image, '--path', dir, ...env])
    expect(built.code, built.output).toBe(expected.exit ?? 0)
    if (expected.error !== undefined) expect(built.output).toMatch(new RegExp(expected.error))
    if (built.code !== 0) return
    if (expected.log !== undefined) expect(built.output).toMatch(new RegExp(expected.log))
    const inspected = JSON.parse((await bale(['inspect', image, '--output', 'json'])).stdout) as {
      buildpacks: { id: string }[]
    }
    if (expected.detect !== undefined) expect(inspected.buildpacks.map(b => b.id)).toEqual(expected.detect)
    const process = expected.process === undefined ? [] : ['--process', expected.process]
    if (expected.http !== undefined) {
      const { status, body } = await serveAndAsk(image, expected.http.path, process)
      expect(status).toBe(expected.http.status)
      expect(body).toMatch(new RegExp(expected.http.body))
    }
    if (expected.run !== undefined) {
      const ran = await bale(['run', image, ...process])
      expect(ran.output).toMatch(new RegExp(expected.run.output))
      expect(ran.code).toBe(expected.run.exit)
    }
    const { largest, absent = [] } = expected
    if (largest === undefined && absent.length === 0) return
    const { unpacked, paths } = await readImageFiles(image)
    if (largest !== undefined) expect(unpacked / 1e6).toBeLessThan(largest)
    for (const pattern of absent) expect(paths.filter(path => new RegExp(pattern).test(path))).toEqual([])
  })
})
