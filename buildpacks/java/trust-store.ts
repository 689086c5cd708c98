import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuildContext, withTempDir } from '../sdk/index.ts'

/**
 * A program that converts a bundle of certificates into a trust store. keytool imports one certificate at a time, and would take a
 * minute. A store without password and checksum contains nothing random (JDK-8076190).
 */
export const trustStoreSource = `import java.io.*;
import java.nio.file.*;
import java.security.KeyStore;
import java.security.cert.*;

public class TrustStore {
    public static void main(String[] args) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        String text = Files.readString(Path.of(args[0]));
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        int count = 0;
        for (int at = text.indexOf("-----BEGIN "); at >= 0; at = text.indexOf("-----BEGIN ", at + 1)) {
            int end = text.indexOf("-----END ", at);
            if (end < 0) break;
            String pem = text.substring(at, text.indexOf("-----", end + 9) + 5).replace("TRUSTED ", "");
            try {
                Certificate certificate = factory.generateCertificate(new ByteArrayInputStream(pem.getBytes("US-ASCII")));
                store.setCertificateEntry(String.format("ca-%04d", count++), certificate);
            } catch (CertificateException e) {
                System.err.println("Warning: a certificate of " + args[0] + " cannot be read: " + e.getMessage());
            }
        }
        try (OutputStream out = Files.newOutputStream(Path.of(args[1]))) {
            store.store(out, null);
        }
    }
}
`

/** The compiled program in a JRE, for certificates that are known at run time: a place below Java's home, which each vendor's layout has. */
export const trustStoreProgram = 'lib/trust-store'

const withoutSecrets = ['-Dkeystore.pkcs12.certProtectionAlgorithm=NONE', '-Dkeystore.pkcs12.macAlgorithm=NONE']

export interface TrustStore {
  /** A JDK. */
  readonly home: string
  readonly libraries: string
  /** The certificates, in PEM format. */
  readonly bundle: string
  readonly file: string
  /** The directory that keeps the compiled program, for certificates that are known at run time. Absent: it is not kept. */
  readonly program?: string
}

/** Creates a trust store, as the maintainer script of Debian's ca-certificates-java would. */
export async function writeTrustStore({ run }: BuildContext, options: TrustStore): Promise<void> {
  const { home, libraries, bundle, file, program } = options
  const env = { LD_LIBRARY_PATH: libraries }
  await withTempDir(async temp => {
    const classes = program ?? temp
    await mkdir(classes, { recursive: true })
    await writeFile(join(temp, 'TrustStore.java'), trustStoreSource)
    await run([join(home, 'bin/javac'), '-g:none', '-d', classes, join(temp, 'TrustStore.java')], {
      env,
      quiet: true,
      name: 'javac',
    })
    // Debian's file is a link to a file that a maintainer script creates.
    await rm(file, { force: true })
    const java = [
      join(home, 'bin/java'),
      '-Xshare:auto',
      ...withoutSecrets,
      '-cp',
      classes,
      'TrustStore',
      bundle,
      file,
    ] as const
    await run(java, { env, quiet: true, name: 'making the trust store' })
  })
}
