import { describe, expect, it } from 'vitest'
import { requirePlatformApi } from '../../lifecycle/spec/api.ts'
import { formatBuildMetadata, parseBuildMetadata } from '../../lifecycle/spec/metadata.ts'
import { isEligible } from '../../lifecycle/spec/process.ts'
import type { BuildMetadata } from '../../lifecycle/spec/types.ts'
import { failure } from './failure.ts'

const metadata: BuildMetadata = {
  buildpacks: [
    { id: 'example/node', version: '1.2.3', api: '0.12', homepage: 'https://example.com' },
    { id: 'procfile', version: '2.0.0', api: '0.8' },
  ],
  processes: [
    {
      type: 'web',
      command: ['node', '--enable-source-maps'],
      args: ['server.js', 'a "b"\n'],
      direct: true,
      default: true,
      workingDir: '/workspace/app',
      execEnv: ['production'],
      buildpackId: 'example/node',
    },
    { type: 'worker', command: ['work $X'], args: [], direct: false, default: false, buildpackId: 'procfile' },
  ],
  slices: [{ paths: ['dist/*'] }, { paths: [] }],
  labels: [{ key: 'a', value: 'b' }],
  defaultProcessType: 'web',
}

describe('metadata.toml', () => {
  it('gives back what was written', () => {
    const text = formatBuildMetadata(metadata, requirePlatformApi('0.15'))
    expect(parseBuildMetadata(text, 'metadata.toml')).toEqual(metadata)
    expect(text).toContain('buildpack-default-process-type = "web"\n')
    expect(text).toContain('buildpack-id = "procfile"')
    expect(text).toContain('exec-env = ["production"]')
    expect(text).toContain('exec-env = ["*"]')
  })
  it('says nothing of exec-env before 0.15', () => {
    expect(formatBuildMetadata(metadata, requirePlatformApi('0.14'))).not.toContain('exec-env')
  })
  it('writes one-string commands before 0.10, what always comes with them before the arguments', () => {
    const text = formatBuildMetadata(metadata, requirePlatformApi('0.9'))
    expect(text).toContain('command = "node"\nargs = ["--enable-source-maps", "server.js", "a \\"b\\"\\n"]\n')
    expect(parseBuildMetadata(text, 'metadata.toml').processes[0]).toMatchObject({
      command: ['node'],
      args: ['--enable-source-maps', 'server.js', 'a "b"\n'],
    })
  })
  it('may say very little', () => {
    const empty: BuildMetadata = { buildpacks: [], processes: [], slices: [], labels: [] }
    const text = formatBuildMetadata(empty, requirePlatformApi('0.12'))
    expect(text).toBe('buildpacks = []\nprocesses = []\n')
    expect(parseBuildMetadata(text, 'metadata.toml')).toEqual(empty)
  })

  const process = (rest: string) => `[[processes]]\ntype = "web"\nbuildpack-id = "a"\n${rest}`
  it.each([
    ['X28', '[[buildpacks]]\nid = "../../etc"\nversion = "1"\napi = "0.12"', 'metadata.toml:2 buildpacks[0].id: '],
    ['X28', '[[buildpacks]]\nid = "a"\nversion = "../1"\napi = "0.12"', 'metadata.toml:3 buildpacks[0].version: '],
    ['X28', '[[processes]]\ntype = "../../x"', 'metadata.toml:2 processes[0].type: '],
    ['X28', '[[processes]]\ntype = "web"\nbuildpack-id = ".."', 'metadata.toml:3 processes[0].buildpack-id: '],
    ['X28', process(''), 'metadata.toml:1 processes[0].command: names no program'],
    [
      'D13',
      process('command = ["x"]\n') + process('command = ["x"]'),
      'metadata.toml:6 processes[1].type: "web" appears twice',
    ],
    ['D15', '[[slices]]\npaths = ["../x"]', 'metadata.toml:2 slices[0].paths: '],
    ['L01', '[[processes', 'metadata.toml:1: not TOML: '],
    ['L01', 'buildpacks = 1', 'metadata.toml:1 buildpacks: not an array of tables but a number'],
  ])('%s refuses a forged one: %j', (_case, text, message) => {
    expect(failure(() => parseBuildMetadata(text, 'metadata.toml'))).toContain(message)
  })
})

describe('isEligible', () => {
  const [limited, unlimited] = metadata.processes
  it('asks for the environment only where the process is limited', () => {
    expect([limited, unlimited].map(p => p && isEligible(p, 'production'))).toEqual([true, true])
    expect([limited, unlimited].map(p => p && isEligible(p, 'test'))).toEqual([false, true])
  })
})
