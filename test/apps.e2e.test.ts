import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { bale, root, serveAndAsk } from './helpers/bale.ts'

/** test/apps/README.md says what each key means. */
interface Expected {
  readonly env?: Readonly<Record<string, string>>
  readonly detect?: readonly string[]
  readonly exit?: number
  readonly error?: string
  readonly log?: string
  readonly process?: string
  readonly http?: { readonly path: string; readonly status: number; readonly body: string }
  readonly run?: { readonly exit: number; readonly output: string }
}

const apps = join(root, 'test', 'apps')
const names = readdirSync(apps, { withFileTypes: true })
  .filter(e => e.isDirectory())
  .map(e => e.name)

describe('applications', () => {
  it.each(names)('%s', async name => {
    const expected = JSON.parse(readFileSync(join(apps, name, 'expect.json'), 'utf8')) as Expected
    const image = `bale-test-app-${name}`
    const env = Object.entries(expected.env ?? {}).flatMap(([key, value]) => ['--env', `${key}=${value}`])
    const built = await bale(['build', image, '--path', join(apps, name), ...env])
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
  })
})
