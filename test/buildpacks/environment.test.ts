import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { environment } from '../../buildpacks/environment/environment.ts'
import { TestProject } from '../../buildpacks/sdk/testing.ts'

const dir = join(import.meta.dirname, '../../buildpacks/environment')

async function project(env: Record<string, string>): Promise<TestProject> {
  const made = await TestProject.create({ buildpack: environment, dir, app: {}, env })
  onTestFinished(() => made[Symbol.asyncDispose]())
  return made
}

describe('the environment buildpack', () => {
  it('takes no part without a variable of its own', async () => {
    expect((await (await project({ NAME: 'x' })).detect()).exitCode).toBe(100)
  })

  it('sets, defaults, appends and prepends variables of the application', async () => {
    const p = await project({
      BPE_MODE: 'fast',
      BPE_OVERRIDE_TZ: 'UTC',
      BPE_DEFAULT_LEVEL: 'info',
      BPE_APPEND_JAVA_TOOL_OPTIONS: '-Xss1m',
      BPE_DELIM_JAVA_TOOL_OPTIONS: ' ',
      BPE_PREPEND_PATH: '/workspace/bin:',
      // Its name begins like a change of NAME.
      BPE_DEFAULT: 'yes',
    })
    expect((await p.detect()).output).toContain('set DEFAULT, JAVA_TOOL_OPTIONS, LEVEL, MODE, PATH, TZ in the image')
    const { layers } = await p.build()
    expect(layers['variables']?.types).toEqual({ build: false, cache: false, launch: true })
    const read = (file: string) => p.read(`layers/variables/env.launch/${file}`)
    expect(await read('MODE.override')).toBe('fast')
    expect(await read('TZ.override')).toBe('UTC')
    expect(await read('DEFAULT.override')).toBe('yes')
    expect(await read('LEVEL.default')).toBe('info')
    expect(await read('JAVA_TOOL_OPTIONS.append')).toBe('-Xss1m')
    expect(await read('JAVA_TOOL_OPTIONS.delim')).toBe(' ')
    expect(await read('PATH.prepend')).toBe('/workspace/bin:')
    expect(await read('PATH.delim')).toBe('')
    await p.nextBuild()
    expect((await p.build()).output).toContain('of the previous image')
    p.setEnv({ BPE_MODE: 'slow' })
    await p.nextBuild()
    expect((await p.build()).output).toContain('Creating the variables MODE')
  })

  it('labels the image', async () => {
    const p = await project({
      BP_IMAGE_LABELS: 'team=shop "title=The shop" empty=',
      BP_OCI_SOURCE: 'https://example.test/shop',
      BP_OCI_REF_NAME: 'main',
      GOOGLE_LABEL_BUILD_ID: '42',
    })
    const { launch } = await p.build()
    expect(launch?.['labels']).toEqual([
      { key: 'empty', value: '' },
      { key: 'google.build-id', value: '42' },
      { key: 'org.opencontainers.image.ref.name', value: 'main' },
      { key: 'org.opencontainers.image.source', value: 'https://example.test/shop' },
      { key: 'team', value: 'shop' },
      { key: 'title', value: 'The shop' },
    ])
  })

  it.each([
    ['BP_IMAGE_LABELS: "shop" does not have the form key=value', { BP_IMAGE_LABELS: 'shop' }],
    ['MODE is changed twice', { BPE_MODE: 'a', BPE_DEFAULT_MODE: 'b' }],
    ['BPE_DELIM_X: there is nothing to delimit', { BPE_DELIM_X: ':', BPE_X: 'a' }],
    ['BPE_A-B: "A-B" is not the name of a variable', { 'BPE_A-B': 'x' }],
  ])('refuses %s', async (message, env: Record<string, string>) => {
    const { exitCode, output } = await (await project(env)).detect()
    expect(exitCode).toBe(1)
    expect(output).toContain(message)
  })
})
