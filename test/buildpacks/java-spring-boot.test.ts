import { describe, expect, it } from 'vitest'
import type { JavaArchive } from '../../buildpacks/java/archive.ts'
import {
  extractArchive,
  startExtracted,
  startSpringBoot,
  warnOfUnusedSettings,
} from '../../buildpacks/java/spring-boot.ts'
import { type BuildContext, Log } from '../../buildpacks/sdk/index.ts'
import { appOf } from '../helpers/app.ts'
import { failureOf } from '../helpers/failure.ts'

const archiveOf = (...entries: string[]): JavaArchive => ({
  path: '/build/target/shop.jar',
  manifest: { 'Spring-Boot-Version': '3.2.1', 'Start-Class': 'shop.Shop', 'Main-Class': 'org.Launcher' },
  entries,
  layersIndex: '',
  component: { name: 'shop', version: '1', purl: 'pkg:generic/shop@1' },
})

async function contextOf(env: Record<string, string> = {}) {
  const lines: string[] = []
  const app = await appOf({})
  return {
    context: {
      app,
      env,
      log: new Log({ stdout: l => lines.push(l), stderr: l => lines.push(l) }),
    } as unknown as BuildContext,
    lines,
  }
}

describe('Spring’s ahead-of-time processing', () => {
  const processed = archiveOf('BOOT-INF/classes/shop/Shop__ApplicationContextInitializer.class')

  it.each([
    [{ BP_SPRING_AOT_ENABLED: 'true' }, true],
    [{}, false],
  ])('is on at the start with %o: %s', async (env, isOn) => {
    const { context, lines } = await contextOf(env)
    const switches = [{ variables: ['BPL_SPRING_AOT_ENABLED'], isOn, option: '-Dspring.aot.enabled=true' }]
    expect(await startSpringBoot(context, processed, '')).toMatchObject({ switches })
    expect(await startExtracted(context, processed)).toMatchObject({ switches, slices: [{ paths: ['lib'] }] })
    expect(lines).toEqual([])
  })

  it('is left out with a warning where the build has done none, as the application would not start', async () => {
    const { context, lines } = await contextOf({ BP_SPRING_AOT_ENABLED: 'true' })
    // Hints for native images, which people write by hand as well.
    const archive = archiveOf('BOOT-INF/classes/META-INF/native-image/reflect-config.json')
    expect((await startSpringBoot(context, archive, '')).switches).toEqual([])
    expect(lines.join('\n')).toContain('Have the build run spring-boot:process-aot')
  })
})

describe('class data', () => {
  it('needs a Spring Boot that unpacks itself', async () => {
    const run = () => Promise.reject(new Error('nothing is to run'))
    const jdk = { home: '/jdk', version: '21', env: {} }
    expect(await failureOf(extractArchive({ run }, jdk, archiveOf('BOOT-INF/lib/a.jar'), '/stage'))).toMatchObject({
      message: expect.stringContaining('Spring Boot 3.2.1 cannot unpack itself for class data') as unknown,
      fix: expect.stringContaining('use Spring Boot 3.3 or newer') as unknown,
    })
  })

  it('needs to know the class that starts', async () => {
    const run = () => Promise.reject(new Error('nothing is to run'))
    const jdk = { home: '/jdk', version: '21', env: {} }
    const archive = archiveOf('BOOT-INF/lib/spring-boot-jarmode-tools-3.5.0.jar')
    const refused = extractArchive({ run }, jdk, { ...archive, manifest: { 'Main-Class': 'org.Launcher' } }, '/stage')
    expect(await failureOf(refused)).toMatchObject({
      where: 'shop.jar',
      message: expect.stringContaining('has no Start-Class') as unknown,
    })
  })
})

describe('settings of Spring Boot', () => {
  const files = { processes: [], slices: [], components: [], classes: 0, shown: 'what the Procfile says' }
  const env = { BP_JVM_CDS_ENABLED: 'true', BP_SPRING_AOT_ENABLED: 'true' }

  it('are warned of where they have no effect', async () => {
    const { context, lines } = await contextOf(env)
    warnOfUnusedSettings(context, files)
    expect(lines.join('')).toMatch(/BP_JVM_CDS_ENABLED has no effect[^]*BP_SPRING_AOT_ENABLED has no effect/)
    expect(lines.join('')).toContain('starts what the Procfile says')
  })

  it.each([
    [env, { ...files, training: '/workspace/shop.jar', switches: [] }],
    [{ BP_JVM_CDS_ENABLED: 'false' }, files],
    [{}, files],
  ])('are not with %o where they have one, or are off', async (env, files) => {
    const { context, lines } = await contextOf(env)
    warnOfUnusedSettings(context, files)
    expect(lines).toEqual([])
  })
})
