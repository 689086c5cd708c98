import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { supportedPlatformApis } from '../../../lifecycle/spec/api.ts'
import { machine, registryWithRun } from './line.ts'

// What creator does is in phases.e2e.test.ts, since it starts processes: here is what it refuses before.

describe('creator', () => {
  it.each([
    ['no image', (): string[] => [], 3],
    ['two images', (h: string) => [`${h}/a`, `${h}/b`], 3],
    ['a tag in another registry', (h: string) => ['-tag=other.example/a', `${h}/a`], 3],
    ['a run image that is not there', (h: string) => [`-run-image=${h}/gone`, `${h}/a`], 3],
    ['-analyzed, which is no flag of it', (h: string) => ['-analyzed=x', `${h}/a`], 2],
    ['-skip-layers, which is another binary’s', (h: string) => ['-skip-layers', `${h}/a`], 2],
  ])('refuses %s', async (_, args, status) => {
    const registry = await registryWithRun()
    const m = await machine('0.15')
    const result = await m.run('creator', [`-run-image=${registry.host}/run`, ...args(registry.host)])
    expect(result.status, result.said).toBe(status)
    expect(existsSync(m.path('layers/analyzed.toml'))).toBe(false)
  })
  it.each(supportedPlatformApis)('takes -stack at %s, and looks for it below 0.12 only', async api => {
    const registry = await registryWithRun()
    const m = await machine(api, { 'other.toml': `[run-image]\nimage = "${registry.host}/gone"\n` })
    const { status, said } = await m.run('creator', [`-stack=${m.path('other.toml')}`, `${registry.host}/app`])
    expect(status).toBe(3)
    expect(said).toContain(Number(api.slice(2)) < 12 ? `${registry.host}/gone` : '-run-image is required')
  })
})

describe('a run image of run.toml', () => {
  it('for another machine is none', async () => {
    const registry = await registryWithRun({ architecture: 's390x' })
    const m = await machine('0.15', { 'run.toml': `[[images]]\nimage = "${registry.host}/run"\n` })
    const { status, said } = await m.run('creator', [`${registry.host}/app`])
    expect(status).toBe(3)
    expect(said).toContain('is for linux/s390x')
  })
})
