import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { bale, digestIn, inspect, root } from './helpers/bale.ts'
import { type DockerRegistry, missing, startDockerRegistry } from './helpers/docker-registry.ts'
import { type Available, suiteWith } from './helpers/skip.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { type Tree, writeTree } from './helpers/tree.ts'

// Flags of pack, each with what it is there for: --creation-time, --previous-image, and `sbom download`.

/** A buildpack whose layer says when it was made, and is made again only where no earlier image has it. */
const keeper: Tree = {
  'bp/buildpack.toml': 'api = "0.11"\n[buildpack]\nid = "test/keeper"\nversion = "1.0.0"\n[[targets]]\nos = "linux"\n',
  'bp/bin/detect': { script: 'exit 0' },
  'bp/bin/build': {
    script: `if [ -f "$1/stamp.toml" ]; then echo "a layer of an earlier build: $(grep made "$1/stamp.toml")"
else mkdir "$1/stamp"; date +%N > "$1/stamp/made"; echo "made $(cat "$1/stamp/made")"; fi
printf '[metadata]\\nmade = "once"\\n[types]\\nlaunch = true\\n' > "$1/stamp.toml"`,
  },
}

describe('bale build --creation-time', () => {
  it('dates the image and not its layers, wins over SOURCE_DATE_EPOCH, and takes now', async () => {
    const image = 'bale-test-creation-time'
    const build = (...flags: string[]) =>
      bale(['build', image, '--path', join(root, 'examples/procfile'), '--quiet', ...flags], {
        env: { SOURCE_DATE_EPOCH: '1600000000' },
      })
    await build()
    const byVariable = await inspect(image)
    const dated = digestIn(await build('--creation-time', '1700000000'))
    const byFlag = await inspect(image)
    expect([byVariable.created, byFlag.created]).toEqual(['2020-09-13T12:26:40Z', '2023-11-14T22:13:20Z'])
    expect(byFlag.layers).toEqual(byVariable.layers)
    expect(digestIn(await build('--creation-time', '1700000000'))).toBe(dated)
    const before = Math.floor(Date.now() / 1000) * 1000
    await build('--creation-time', 'now')
    expect(Date.parse((await inspect(image)).created)).toBeGreaterThanOrEqual(before)
    for (const bad of ['yesterday', '-1', '1.5', '2023-11-14', '']) {
      const { code, stderr } = await build('--creation-time', bad)
      expect([bad, code, stderr]).toEqual([bad, 2, expect.stringContaining('--creation-time')])
    }
  })
})

describe('bale build --previous-image', () => {
  it('takes layers from an image of another name, on a machine that has built neither', async () => {
    const dir = await temporaryDirectory()
    await writeTree(dir, { 'app/Procfile': 'web: cat /layers/test_keeper/stamp/made\n', ...keeper })
    const build = (image: string, cache: string, ...flags: string[]) =>
      bale(['build', image, '--path', join(dir, 'app'), '--pre-buildpack', join(dir, 'bp'), ...flags], {
        env: { XDG_CACHE_HOME: join(dir, cache) },
      })
    const old = `oci:${dir}/old:latest`
    const first = await build(old, 'one')
    expect(first.output).toMatch(/made \d+/)
    const own = await build(`oci:${dir}/other:latest`, 'two')
    expect(own.output).toMatch(/made \d+/)
    const reused = await build(`oci:${dir}/new:latest`, 'three', '--previous-image', old)
    expect(reused.output).toContain('a layer of an earlier build: made = "once"')
    expect(reused.output).toContain("Reusing layer 'test/keeper:stamp'")
    expect(digestIn(await build(`oci:${dir}/new:latest`, 'three', '--quiet'))).toBe(
      /^Digest: (sha256:[0-9a-f]{64})/m.exec(first.output)?.[1],
    )
    // One that is not there is a first build.
    const none = await build(`oci:${dir}/none:latest`, 'four', '--previous-image', `oci:${dir}/old:not-there`)
    expect([none.code, /made \d+/.test(none.output)], none.output).toEqual([0, true])
    const bad = await build(`oci:${dir}/none:latest`, 'four', '--previous-image', 'A B')
    expect([bad.code === 0, bad.stderr]).toEqual([false, expect.stringContaining('A B')])
  })
})

const absent = missing('docker-registry')
const server: Available<DockerRegistry> =
  absent === undefined
    ? { state: 'available', value: await startDockerRegistry({ secure: false }) }
    : { state: 'missing', reason: absent }

suiteWith('bale sbom download', server, registry => {
  afterAll(() => registry.close())

  it('writes the bills of materials of an image in the local store, a layout or a registry', async () => {
    const dir = await temporaryDirectory()
    const name = `${registry.host}/team/sbom`
    const built = await bale([
      ...['build', 'bale-test-sbom', '--path', join(root, 'examples/node'), '--quiet'],
      ...['--tag', `docker://${name}`, '--tag', `oci:${dir}/layout:latest`],
    ])
    expect(built.code, built.output).toBe(0)
    const written = async (out: string, ...args: string[]) => {
      const { code, stdout, output } = await bale(['sbom', 'download', ...args, '--output-dir', join(dir, out)])
      expect(code, output).toBe(0)
      const files = await readdir(join(dir, out), { recursive: true })
      expect(files.filter(file => file.endsWith('.json')).sort()).toEqual(stdout.trim().split('\n'))
      const texts = stdout
        .trim()
        .split('\n')
        .map(file => readFile(join(dir, out, file), 'utf8'))
      return { files: stdout.trim().split('\n'), texts: await Promise.all(texts) }
    }
    const local = await written('local', 'bale-test-sbom')
    const cyclone = local.files.findIndex(file => file.endsWith('sbom.cdx.json'))
    expect(local.files[cyclone]).toMatch(/^layers\/sbom\/launch\/bale_nodejs\//)
    expect(JSON.parse(local.texts[cyclone] ?? '')).toMatchObject({ bomFormat: 'CycloneDX' })
    expect(local.texts[cyclone]).toContain(`pkg:npm/node-linux-${process.arch}@`)
    expect(await written('remote', name, '--remote')).toEqual(local)
    expect(await written('from-layout', `oci:${dir}/layout:latest`)).toEqual(local)
    // Those of another image make way.
    expect(await written('local', name, '--remote')).toEqual(local)
  })

  it('says which image has none, and which is not there', async () => {
    const dir = await temporaryDirectory()
    const run = 'bale.local/stacks/trixie:run'
    for (const [args, why] of [
      [[run], 'has no bills of materials'],
      [['bale-test-not-there'], 'there is no image bale-test-not-there'],
      [[`${registry.host}/team/none`, '--remote'], `there is no image ${registry.host}/team/none`],
    ] as const) {
      const { code, stderr } = await bale(['sbom', 'download', ...args, '--output-dir', join(dir, 'out')])
      expect([args[0], code === 0, stderr]).toEqual([args[0], false, expect.stringContaining(why)])
    }
  })
})
