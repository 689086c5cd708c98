import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { bale, serveAndAsk } from './helpers/bale.ts'
import { readImageFiles } from './helpers/image-files.ts'
import { buildThroughMirrors, type Files, packDebian } from './helpers/mise-server.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { writeTree } from './helpers/tree.ts'

// mise is the real program, from npm's registry. The JDK is Debian's, packed as Temurin's is: the hosts of the list and of the archives
// are not reachable from everywhere.

const source = `package shop;
public class Main {
  public static void main(String[] args) throws Exception {
    var server = com.sun.net.httpserver.HttpServer.create(new java.net.InetSocketAddress(Integer.parseInt(System.getenv("PORT"))), 0);
    server.createContext("/", exchange -> {
      var body = ("first " + Runtime.version().feature() + " " + System.getenv("JAVA_HOME") + " " + System.getProperty("javax.net.ssl.trustStore")).getBytes();
      exchange.sendResponseHeaders(200, body.length);
      exchange.getResponseBody().write(body);
      exchange.close();
    });
    server.start();
  }
}
`

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>test.bale</groupId><artifactId>shop</artifactId><version>1.0.0</version>
<properties><maven.compiler.release>21</maven.compiler.release><project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>
<build><plugins><plugin><groupId>org.apache.maven.plugins</groupId><artifactId>maven-jar-plugin</artifactId><version>3.4.2</version>
<configuration><archive><manifest><mainClass>shop.Main</mainClass></manifest></archive></configuration></plugin></plugins></build></project>
`

const build = 'temurin-25.0.1+8.0.LTS'
const address =
  'github.com/adoptium/temurin25-binaries/releases/download/jdk-25.0.1%2B8/OpenJDK25U-jdk_x64_linux_hotspot.tar.gz'
/** mise's list, with a digest for the archive. */
const filesFor = (archive: Buffer, digest: string): Files => ({
  'mise-java.jdx.dev/jvm/ga/linux/x86_64.json': JSON.stringify([
    {
      vendor: 'temurin',
      version: '25.0.1+8.0.LTS',
      java_version: '25.0.1',
      jvm_impl: 'hotspot',
      image_type: 'jdk',
      file_type: 'tar.gz',
      features: [],
      url: `https://${address}`,
      checksum: `sha256:${digest}`,
    },
  ]),
  [address]: archive,
})

it('builds and runs an application with the vendor’s JDK that .sdkmanrc names, from a mirror, and again without the network', async () => {
  const copy =
    'mkdir "$1/jdk" && cp -rL "$2"/usr/lib/jvm/java-25-openjdk-*/. "$1/jdk" 2>/dev/null || test -x "$1/jdk/bin/java"'
  const archive = await packDebian('jdk', ['openjdk-25-jdk-headless'], copy)
  const image = 'bale-test-java-vendor'
  const dir = await temporaryDirectory()
  await writeTree(dir, { '.sdkmanrc': 'java=25.0.1-tem\n', 'pom.xml': pom, 'src/main/java/shop/Main.java': source })
  const run = (mirror: string, ...more: string[]) =>
    bale(['build', image, '--path', dir, '--env', `BP_DEPENDENCY_MIRROR=${mirror}`, ...more])

  const { mirror, requests, output } = await buildThroughMirrors(archive, filesFor, run)
  expect(output).toContain(`Java ${build}: .sdkmanrc asks for 25.0.1-tem`)
  expect(requests).toContain(address)
  const { body } = await serveAndAsk(image)
  expect(body).toBe('first 25 /layers/bale_java/jre/jdk null')
  const certificates = 'SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt'
  expect((await serveAndAsk(image, '/', ['--env', certificates])).body).toMatch(/jdk \S+trust-store-\w+$/)
  const { paths } = await readImageFiles(image)
  expect(paths.filter(path => /\/mise\b|\/javac$|\/usr\/lib\/jvm/.test(path))).toEqual([])

  requests.length = 0
  await writeFile(join(dir, 'src/main/java/shop/Main.java'), source.replace('first', 'again'))
  const offline = await run(mirror, '--network', 'none')
  expect(offline.code, offline.output).toBe(0)
  expect(offline.output).toContain(`Using JDK ${build} from the cache`)
  expect(requests).toEqual([])
  expect((await serveAndAsk(image)).body).toMatch(/^again 25 /)
}, 900_000)
