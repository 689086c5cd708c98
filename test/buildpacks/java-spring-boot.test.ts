import { describe, expect, it } from 'vitest'
import type { JavaArchive } from '../../buildpacks/java/archive.ts'
import { sortClasses } from '../../buildpacks/java/class-data.ts'
import { extractArchive, startExtracted, startSpringBoot } from '../../buildpacks/java/spring-boot.ts'
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
  const processed = archiveOf('BOOT-INF/classes/META-INF/native-image/test/shop/reflect-config.json')

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
    expect((await startSpringBoot(context, archiveOf('BOOT-INF/classes/shop/Shop.class'), '')).switches).toEqual([])
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

  it('is of the same classes in the same order, whatever threads loaded first', () => {
    const one =
      '# a comment\nshop/B id: 2\njava/lang/Object id: 0\n@lambda-proxy shop/B run\nshop/Own id: 3 super: 0 source: x.jar\n'
    const other = 'java/lang/Object id: 0\n@lambda-proxy shop/B run\nshop/B id: 7\nshop/B id: 7\n'
    expect(sortClasses(one)).toBe('@lambda-proxy shop/B run\njava/lang/Object\nshop/B\n')
    expect(sortClasses(other)).toBe(sortClasses(one))
  })
})
