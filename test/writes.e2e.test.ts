import { mkdirSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { bale, digestIn, inspect, root } from './helpers/bale.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { readTree, writeTree } from './helpers/tree.ts'

const runImage = 'bale.local/stacks/trixie:run'

/**
 * The oracle: each attempt fails inside the sandbox, and the build continues. Buildpacks, caches, images and the canary on the
 * host are unchanged. The image is the same as without the attempts.
 */
describe('X33 an app with the name of the run image', () => {
  it('is refused before any work, and the run image stays', async () => {
    const dir = await temporaryDirectory()
    await writeTree(dir, { 'src/Procfile': 'web: true\n' })
    const digestOfRunImage = async () => (await inspect(runImage)).digest
    const before = digestIn(await bale(['build', 'bale-test-names', '--path', `${dir}/src`, '--quiet']))
    const digest = await digestOfRunImage()
    for (const args of [[runImage], ['bale-test-names', '--tag', runImage]]) {
      const { code, stderr } = await bale(['build', ...args, '--path', `${dir}/src`, '--quiet'])
      expect(code).toBe(3)
      expect(stderr).toContain(`the app has the same name as its run image, ${runImage}`)
    }
    expect(await digestOfRunImage()).toBe(digest)
    expect(digestIn(await bale(['build', 'bale-test-names', '--path', `${dir}/src`, '--quiet']))).toBe(before)
  })
})

const buildpack = (id: string, build: string) => ({
  [`${id}/buildpack.toml`]: `api = "0.11"\n[buildpack]\nid = "${id}"\nversion = "1.0.0"\n`,
  [`${id}/bin/detect`]: { script: 'exit 0' },
  [`${id}/bin/build`]: { script: build },
})
const layer = (types: string) =>
  `mkdir -p "$1/own"; echo mine > "$1/own/file"; printf '[types]\\n${types}\\n' > "$1/own.toml"`

/** A builder whose second buildpack does something more. */
const builder = (second: string) => ({
  ...buildpack('first', layer('launch = true\\ncache = true')),
  ...buildpack('second', `${layer('launch = true')}\n${second}`),
  'builder.toml': `[[buildpacks]]\nuri = "first"\n[[buildpacks]]\nuri = "second"\n[[order]]\n[[order.group]]\nid = "first"\n[[order.group]]\nid = "second"\n[stack]\nuri = "${root}/stacks/trixie"\n`,
})

describe('X27 a buildpack that writes where it should not', () => {
  const attempts = (canary: string, cache: string) => `
    for file in /platform/env/PLANTED /platform/env/GREETING "$CNB_BUILDPACK_DIR/planted" /cnb/buildpacks/first/1.0.0/bin/build \\
                /cnb/lifecycle/planted /cnb/lifecycle/launcher /cnb/planted /usr/planted /etc/passwd "${canary}/file" "${cache}/bale/planted"; do
      if (echo planted > "$file") 2>/dev/null; then echo "WROTE $file"; fi
    done
    ls -d "${cache}" "${canary}" 2>/dev/null && echo "SAW the host"
    mv /platform/env /platform/away 2>/dev/null && echo "MOVED platform"
    rm -rf /cnb/buildpacks /platform 2>/dev/null && echo "REMOVED"
    true`

  it('changes neither platform, buildpacks, lifecycle, caches nor anything of the host', async () => {
    const dir = await temporaryDirectory()
    const [cache, canary] = [join(dir, 'cache'), join(dir, 'canary')]
    const env = { XDG_CACHE_HOME: cache }
    await writeTree(dir, { 'src/main.txt': 'app', 'canary/file': 'canary' })
    await writeTree(join(dir, 'good'), builder('true'))
    await writeTree(join(dir, 'evil'), builder(attempts(canary, cache)))
    mkdirSync(cache)
    const build = (which: string) =>
      bale(
        ['build', 'bale-test-writes', '--path', join(dir, 'src'), '--builder', join(dir, which), '--env', 'GREETING=x'],
        { env },
      )
    const reference = await build('good')
    expect(reference.code, reference.output).toBe(0)
    const before = await readTree(join(dir, 'evil'))
    const evil = await build('evil')
    expect(evil.code, evil.output).toBe(0)
    expect(evil.output).not.toMatch(/WROTE|SAW|MOVED|REMOVED/)
    expect(readFileSync(join(canary, 'file'), 'utf8')).toBe('canary')
    expect(await readTree(join(dir, 'evil'))).toEqual(before)
    expect(readdirSync(join(cache, 'bale', 'work'))).toEqual([])
    const digest = (output: string) => /Digest: (sha256:[0-9a-f]{64})/.exec(output)?.[1]
    expect(digest(evil.output)).toBeDefined()
    expect(digest(evil.output)).toBe(digest(reference.output))
    expect(
      digestIn(
        await bale(
          ['build', 'bale-test-writes', '--path', join(dir, 'src'), '--builder', join(dir, 'good'), '--quiet'],
          { env },
        ),
      ),
    ).toBe(digest(reference.output))
  })
})

describe('X28 a buildpack that forges what phases tell one another', () => {
  // Where Landlock confines a buildpack to its own layers, nothing of this succeeds; elsewhere all of it.
  const forge = `exec 2>/dev/null; cd "$1/.."
    for file in group.toml analyzed.toml plan.toml order.toml config/metadata.toml; do
      mkdir -p config; rm -f "$file"; printf '[[group]]\\nid = "forged"\\nversion = "1"\\napi = "0.11"\\n' > "$file"
    done
    printf '[run-image]\\nreference = "forged.example/run"\\nimage = "forged.example/run"\\n' > analyzed.toml
    ln -sf /etc/passwd report.toml
    mkdir -p forged/own; echo forged > forged/own/file; printf '[types]\\nlaunch = true\\n' > forged/own.toml
    true`

  it('is not believed: each phase has kept what it knew, and the image is that of a build without', async () => {
    const dir = await temporaryDirectory()
    const env = { XDG_CACHE_HOME: join(dir, 'cache') }
    await writeTree(dir, { 'src/main.txt': 'app', cache: { dir: true } })
    await writeTree(join(dir, 'good'), builder('true'))
    await writeTree(join(dir, 'evil'), builder(forge))
    const build = (which: string, ...more: string[]) => {
      const args = ['build', 'bale-test-forged', '--path', join(dir, 'src'), '--builder', join(dir, which), '--quiet']
      return bale([...args, ...more], { env })
    }
    const reference = digestIn(await build('good'))
    expect(digestIn(await build('evil', '--report-output-dir', join(dir, 'out')))).toBe(reference)
    expect(readFileSync(join(dir, 'out', 'report.toml'), 'utf8')).toContain(`digest = "${reference}"`)
  })
})
