import { createWriteStream, mkdirSync, readdirSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { ZipFile } from 'yazl'
import { isInstalled } from '../test/helpers/daemons.ts'
import { freePort } from '../test/helpers/bale.ts'
import type { Bench } from './bench.ts'
import { type Row, compare, progress, quote, shell } from './measure.ts'

const image = 'bale-bench-java'

/**
 * From the start of a process to the first answer of a small Spring Boot application: its image with `bale run`, beside `java -jar` of the
 * archive that Maven would make of the same classes, with the same Java and libraries, without launcher and exec.d programs.
 */
export async function javaRows({ dir, root, runs }: Bench): Promise<Row[]> {
  const piece = 'java'
  const missing = ['bwrap', 'umoci', 'curl'].find(program => !isInstalled(program))
  if (missing !== undefined) return [{ piece, name: 'first answer', note: `not measured: ${missing} is not installed` }]
  progress('java: the application')
  const bale = quote(join(root, 'bin/bale'))
  await shell(`${bale} build ${image} --quiet --path ${quote(join(root, 'test/apps/java-spring-boot'))}`, dir)
  await shell(
    `${bale} image save ${image} oci:java:latest && umoci raw unpack --rootless --image java:latest java-root`,
    dir,
  )
  const rootfs = join(dir, 'java-root')
  await archive(join(rootfs, 'workspace'), join(rootfs, 'app.jar'))
  for (const mountPoint of ['proc', 'dev', 'tmp']) mkdirSync(join(rootfs, mountPoint), { recursive: true })
  const java = `/${relative(rootfs, programIn(join(rootfs, 'layers/bale_java/jre')))}`
  const sandbox = `bwrap --bind ${quote(rootfs)} / --proc /proc --dev /dev --tmpfs /tmp --unshare-pid --die-with-parent`
  const plain = 'java -jar, first answer'
  const port = await freePort()
  try {
    return await compare(piece, dir, runs, [
      { name: plain, command: firstAnswer(port, `${sandbox} ${java} -jar /app.jar --server.port=${port}`) },
      {
        name: 'bale run of the image, first answer',
        command: firstAnswer(port, `${bale} run ${image} --env PORT=${port}`),
        against: plain,
        target: 1.5,
      },
    ])
  } finally {
    await shell(`${bale} image rm ${image}`, dir)
  }
}

/** An executable archive as Spring Boot's plugin makes it: the manifest first, archives of libraries as they are. */
async function archive(from: string, to: string): Promise<void> {
  const zip = new ZipFile()
  const manifest = 'META-INF/MANIFEST.MF'
  zip.addFile(join(from, manifest), manifest, { compress: false })
  for (const path of readdirSync(from, { recursive: true, encoding: 'utf8' })) {
    if (statSync(join(from, path)).isDirectory()) zip.addEmptyDirectory(path)
    else if (path !== manifest) zip.addFile(join(from, path), path, { compress: false })
  }
  zip.end()
  await pipeline(zip.outputStream, createWriteStream(to))
}

function programIn(jre: string): string {
  const found = readdirSync(jre, { recursive: true, encoding: 'utf8' }).find(path => path.endsWith('/bin/java'))
  if (found === undefined) throw new Error(`no bin/java is in ${jre}`)
  return join(jre, found)
}

/** Ends the server after its first answer: how long it takes to stop is not measured. */
function firstAnswer(port: number, command: string): string {
  const asked = `until curl -fs -o /dev/null http://127.0.0.1:${port}/; do kill -0 $! || { cat java.log; exit 1; }; sleep 0.02; done`
  return `{ ${command} >java.log 2>&1 & } && { ${asked}; } && kill -9 $! && { wait $! || true; }`
}
