import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type App, type BuildContext, BuildpackError, mirrorOf } from '../sdk/index.ts'
import { defaultRelease, knownReleases, releaseOf, requestedGradle } from './gradle-version.ts'
import type { Jdk } from './jdk.ts'
import { proxyOptions } from './proxies.ts'
import { majorOf } from './version.ts'

/** Gradle for a project without a wrapper. */
export interface GradleChoice {
  /** Undefined if nothing requests a version. */
  readonly version: string | undefined
  readonly why: string
}

/**
 * The Gradle that builds a project without a wrapper.
 * @throws BuildpackError for an invalid version
 */
export async function chooseGradle(app: App, env: BuildContext['env']): Promise<GradleChoice> {
  const request = await requestedGradle(app, env)
  if (request === undefined) return { version: undefined, why: 'there is no wrapper, and nothing requests a version' }
  const { value, where } = request
  const version = releaseOf(value)
  if (version !== undefined) return { version, why: `${where} requests ${value}` }
  throw new BuildpackError(`${JSON.stringify(value.slice(0, 100))} is not a version of Gradle`, {
    where,
    fix: `write a release: ${knownReleases.join(', ')} are the last of their lines`,
  })
}

const distributions = 'https://services.gradle.org/distributions'

/**
 * Downloads and unpacks an archive whose SHA-256 is at the same address with `.sha256`. The JDK is the only program of a build image that
 * knows its certificates, proxies and zip files.
 */
const source = `import java.io.*;
import java.net.*;
import java.nio.file.*;
import java.security.*;
import java.util.zip.*;

public class Download {
    static InputStream open(String address) throws IOException {
        URLConnection connection = new URL(address).openConnection();
        connection.setConnectTimeout(30_000);
        connection.setReadTimeout(60_000);
        return connection.getInputStream();
    }

    public static void main(String[] args) throws Exception {
        String expected;
        try (InputStream in = open(args[0] + ".sha256")) {
            expected = new String(in.readNBytes(64), "US-ASCII");
        }
        Path archive = Path.of(args[1], "archive.zip");
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        try (InputStream in = new DigestInputStream(open(args[0]), digest)) {
            Files.copy(in, archive);
        }
        StringBuilder actual = new StringBuilder();
        for (byte b : digest.digest()) actual.append(String.format("%02x", b));
        if (!actual.toString().equals(expected)) throw new IOException("its SHA-256 is " + actual + ", not " + expected);
        Path target = Path.of(args[2]);
        try (ZipInputStream zip = new ZipInputStream(new BufferedInputStream(Files.newInputStream(archive)))) {
            for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry()) {
                String name = entry.getName().substring(entry.getName().indexOf('/') + 1);
                Path path = target.resolve(name).normalize();
                if (!path.startsWith(target)) throw new IOException("an entry leads out of it: " + entry.getName());
                if (entry.isDirectory()) {
                    Files.createDirectories(path);
                } else {
                    Files.createDirectories(path.getParent());
                    Files.copy(zip, path);
                }
            }
        }
        Files.delete(archive);
    }
}
`

/** Puts a distribution of Gradle's own into a layer of the build, by default one that runs on the JDK. @returns the path of its start script */
export async function provideGradle(
  context: BuildContext,
  choice: GradleChoice,
  { jdk, temp }: { readonly jdk: Jdk; readonly temp: string },
): Promise<string> {
  const { env, log, run } = context
  const version = choice.version ?? defaultRelease(majorOf(jdk.version) ?? '')
  log.info(`Gradle ${version}: ${choice.why}`)
  if (choice.version === undefined) {
    log.warning(
      'Another version of Bale may choose another Gradle for this project',
      `Commit a wrapper (gradle wrapper --gradle-version ${version}), or set BP_GRADLE_VERSION=${version}.`,
    )
  }
  const layer = await context.layer('gradle-distribution', {
    title: `Gradle ${version}`,
    types: { cache: true },
    key: { Gradle: version },
    create: async dir => {
      const file = join(temp, 'Download.java')
      await writeFile(file, source)
      const address = `${distributions}/gradle-${version}-bin.zip`
      const mirror = await mirrorOf(context, address)
      if (mirror !== undefined) log.info(`Downloading Gradle from the mirror of ${mirror.where}`)
      const java = join(jdk.home, 'bin/java')
      await run([java, ...proxyOptions(env), file, mirror?.url ?? address, temp, dir], {
        env: jdk.env,
        quiet: true,
        name: `the download of Gradle ${version}`,
        fix: 'commit a wrapper ("gradle wrapper"), whose distributionUrl can name another place; or set BP_GRADLE_VERSION to another release, or BP_DEPENDENCY_MIRROR to a mirror that this build can reach',
      })
    },
  })
  context.seal(layer)
  return join(layer.path, 'bin/gradle')
}
