import { spawnSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { memoryScript } from '../../../buildpacks/nodejs/memory.ts'
import { nodejs } from '../../../buildpacks/nodejs/nodejs.ts'
import { openProject } from '../sdk/project.ts'
import { bundledDir } from './bundled.ts'
import { FakeNpm } from './fake-npm.ts'

/** What the program tells the launcher in a container with such files. */
async function told(files: Record<string, string>, env: Record<string, string> = {}, heap = false): Promise<string> {
  const project = await openProject({ buildpack: nodejs, dir: '/', app: {} })
  const cgroup = join(project.root, 'cgroup')
  await mkdir(join(cgroup, 'memory'), { recursive: true })
  for (const [name, text] of Object.entries(files)) await writeFile(join(cgroup, name), text)
  const { status, output } = spawnSync('/bin/sh', ['-c', memoryScript(cgroup, heap)], {
    env,
    stdio: Array(4).fill('pipe') as 'pipe'[],
  })
  expect(status, String(output[2])).toBe(0)
  return String(output[3])
}

describe('the memory of the container', () => {
  it.each<[string, Record<string, string>, Record<string, string>, boolean, string]>([
    [
      '512 MiB',
      { 'memory.max': '536870912\n' },
      {},
      false,
      'MEMORY_AVAILABLE = "512"\nWEB_MEMORY = "512"\nWEB_CONCURRENCY = "1"\n',
    ],
    [
      '2 GiB',
      { 'memory.max': '2147483648\n' },
      {},
      false,
      'MEMORY_AVAILABLE = "2048"\nWEB_MEMORY = "512"\nWEB_CONCURRENCY = "4"\n',
    ],
    [
      'the first version of cgroups',
      { 'memory/memory.limit_in_bytes': '268435456\n' },
      {},
      false,
      'MEMORY_AVAILABLE = "256"\nWEB_MEMORY = "512"\nWEB_CONCURRENCY = "1"\n',
    ],
    ['no limit', { 'memory.max': 'max\n' }, {}, true, ''],
    ['no limit of the first version', { 'memory/memory.limit_in_bytes': '9223372036854771712\n' }, {}, true, ''],
    ['no cgroups', {}, {}, true, ''],
    [
      'other settings',
      { 'memory.max': '2147483648\n' },
      { WEB_MEMORY: '1024', WEB_CONCURRENCY: '9' },
      false,
      'MEMORY_AVAILABLE = "2048"\n',
    ],
    [
      'larger processes',
      { 'memory.max': '2147483648\n' },
      { WEB_MEMORY: '1024', MEMORY_AVAILABLE: 'x' },
      false,
      'WEB_CONCURRENCY = "2"\n',
    ],
    [
      'a size that is none',
      { 'memory.max': '2147483648\n' },
      { WEB_MEMORY: 'much', MEMORY_AVAILABLE: 'x' },
      false,
      'WEB_CONCURRENCY = "4"\n',
    ],
  ])('is told of %s', async (_name, files, env, heap, expected) => expect(await told(files, env, heap)).toBe(expected))

  it('gives Node three quarters for its heap, unless the user says how much', async () => {
    const files = { 'memory.max': '1073741824\n' }
    const known = { MEMORY_AVAILABLE: 'x', WEB_MEMORY: '512', WEB_CONCURRENCY: '1' }
    expect(await told(files, known, true)).toBe('NODE_OPTIONS = "--max-old-space-size=768"\n')
    expect(await told(files, { ...known, NODE_OPTIONS: '--enable-source-maps' }, true)).toBe(
      'NODE_OPTIONS = "--enable-source-maps --max-old-space-size=768"\n',
    )
    expect(await told(files, { ...known, NODE_OPTIONS: '--max_old_space_size=99' }, true)).toBe('')
  })

  it('is looked at when the image starts', async () => {
    const { runner } = new FakeNpm()
    const app = { 'index.js': '' }
    const project = await openProject({
      buildpack: nodejs,
      dir: await bundledDir(),
      app,
      env: { BP_NODE_OPTIMIZE_MEMORY: 'true' },
      runner,
    })
    const { layers, exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(layers['launch-programs']?.types).toEqual({ launch: true, build: false, cache: false })
    expect(await project.read('layers/launch-programs/exec.d/memory')).toContain('--max-old-space-size')
    expect(await project.read('layers/launch-programs/exec.d/debugger')).toContain('--inspect')
  })
})
