import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { bale, serveAndAsk } from './helpers/bale.ts'
import { type GradleDistribution, packGradle } from './helpers/gradle-distribution.ts'
import { readImageFiles } from './helpers/image-files.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { writeTree } from './helpers/tree.ts'

// The wrapper is the real one, and so is Gradle, of Debian's package: the host that has Gradle's own distributions is not reachable from
// everywhere. Libraries come from Maven Central.

async function serve({ zip }: GradleDistribution, digest = createHash('sha256').update(zip).digest('hex')) {
  const requests: string[] = []
  const server = createServer((request, response) => {
    requests.push(`${request.url} ${request.headers.authorization ?? ''}`)
    response.end(request.url?.endsWith('.sha256') ? digest : zip)
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => void server.close())
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, requests }
}

const main = `package shop;
public class Main {
  public static void main(String[] args) throws Exception {
    var server = com.sun.net.httpserver.HttpServer.create(new java.net.InetSocketAddress(Integer.parseInt(System.getenv("PORT"))), 0);
    server.createContext("/", exchange -> {
      var body = (org.apache.commons.lang3.StringUtils.capitalize("first ") + Runtime.version().feature()).getBytes();
      exchange.sendResponseHeaders(200, body.length);
      exchange.getResponseBody().write(body);
      exchange.close();
    });
    server.start();
  }
}
`

const project = {
  'settings.gradle': "rootProject.name = 'shop'\n",
  'build.gradle':
    "apply plugin: 'application'\nversion = '1.0'\nmainClassName = 'shop.Main'\nrepositories { mavenCentral() }\ndependencies { compile 'org.apache.commons:commons-lang3:3.17.0' }\n",
  'src/main/java/shop/Main.java': main,
}

describe('an application without a Gradle wrapper', () => {
  it('is built with Gradle’s own distribution from a mirror, and again without the network', async () => {
    const image = 'bale-test-gradle-alone'
    const dir = await temporaryDirectory()
    const gradle = await packGradle()
    const { host, requests } = await serve(gradle)
    await writeTree(dir, project)
    const version = ['--env', `BP_GRADLE_VERSION=${gradle.version}`]
    const mirror = (place: string) => ['--env', `BP_DEPENDENCY_MIRROR_SERVICES_GRADLE_ORG=http://${place}/gradle`]
    const damaged = await serve(gradle, '0'.repeat(64))
    // The cache of an earlier run of this test has the distribution already.
    const build = ['build', image, '--path', dir, ...gradle.volumes, ...version]
    const refused = await bale([...build, ...mirror(damaged.host), '--clear-cache'])
    expect(refused.code).toBe(51)
    expect(refused.output).toMatch(/its SHA-256 is [0-9a-f]{64}, not 0{64}/)

    const first = await bale([...build, ...mirror(host), '--clear-cache'])
    expect(first.code, first.output).toBe(0)
    expect(first.output).toContain(`Gradle ${gradle.version}: BP_GRADLE_VERSION requests ${gradle.version}`)
    const address = `/gradle/distributions/gradle-${gradle.version}-bin.zip`
    expect(requests).toEqual([`${address}.sha256 `, `${address} `])
    expect((await serveAndAsk(image)).body).toBe('First 21')
    await writeFile(join(dir, 'src/main/java/shop/Main.java'), main.replace('first', 'again'))
    const offline = await bale([...build, '--network', 'none'])
    expect(offline.code, offline.output).toBe(0)
    expect((await serveAndAsk(image)).body).toBe('Again 21')
  }, 500_000)
})

describe('an application with a Gradle wrapper', () => {
  it('is built with the Gradle that the wrapper downloads, and again without the network', async () => {
    const image = 'bale-test-gradle'
    const dir = await temporaryDirectory()
    const gradle = await packGradle()
    const { host, requests } = await serve(gradle)
    await writeTree(dir, {
      ...gradle.wrapper,
      'gradle/wrapper/gradle-wrapper.properties': `distributionBase=GRADLE_USER_HOME\ndistributionPath=wrapper/dists\nzipStoreBase=GRADLE_USER_HOME\nzipStorePath=wrapper/dists\ndistributionUrl=http\\://${host}/gradle-${gradle.version}-bin.zip\n`,
      ...project,
    })
    const settings = join(await temporaryDirectory(), 'gradle.properties')
    await writeFile(
      settings,
      'systemProp.gradle.wrapperUser=someone\nsystemProp.gradle.wrapperPassword=s3cr3t-of-gradle\n',
    )
    const secret = ['--secret', `id=gradle,src=${settings},type=gradle,key=gradle.properties`]
    const first = await bale(['build', image, '--path', dir, ...gradle.volumes, ...secret])
    expect(first.code, first.output).toBe(0)
    expect(first.output).toContain('Starts with: shop-1.0/bin/shop')
    const login = Buffer.from('someone:s3cr3t-of-gradle').toString('base64')
    expect(requests).toEqual([`/gradle-${gradle.version}-bin.zip Basic ${login}`])
    expect((await serveAndAsk(image)).body).toBe('First 21')

    await writeFile(join(dir, 'src/main/java/shop/Main.java'), main.replace('first', 'again'))
    const offline = await bale(['build', image, '--path', dir, ...gradle.volumes, '--network', 'none'])
    expect(offline.code, offline.output).toBe(0)
    expect(offline.output).toMatch(/Using JDK \S+ from the cache/)
    expect((await serveAndAsk(image)).body).toBe('Again 21')
    expect(requests).toHaveLength(1)
    const { paths } = await readImageFiles(image)
    expect(paths.filter(path => /gradle|\/src\//.test(path))).toEqual([])
  }, 400_000)
})
