import { execFileSync } from 'node:child_process'
import { copyFile, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Ended, bale, root } from './helpers/bale.ts'
import { goLifecycle, goPhases } from './helpers/go-lifecycle.ts'
import { suiteWith } from './helpers/skip.ts'
import { temporaryDirectory } from './helpers/temporary.ts'

// Bale's own buildpacks under a lifecycle that has no Node: a builder image of builder.toml with the Go lifecycle in it, whose
// detector and builder run them.

const builder = 'bale-test-go-lifecycle'
const lifecycleToml = `[lifecycle]
version = "0.21.0"
[apis.buildpack]
supported = ["0.7", "0.8", "0.9", "0.10", "0.11", "0.12"]
[apis.platform]
supported = ["0.7", "0.8", "0.9", "0.10", "0.11", "0.12", "0.13", "0.14", "0.15"]
`

suiteWith('Bale’s buildpacks under the Go lifecycle', await goLifecycle(), programs => {
  let base: string
  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), 'bale-test-go-'))
    const tree = join(base, 'tree')
    await mkdir(join(tree, 'lifecycle'), { recursive: true })
    for (const name of ['lifecycle', 'launcher']) await copyFile(join(programs, name), join(tree, 'lifecycle', name))
    for (const name of goPhases) await symlink('lifecycle', join(tree, 'lifecycle', name))
    await writeFile(join(tree, 'lifecycle.toml'), lifecycleToml)
    const tarball = join(base, 'lifecycle.tgz')
    execFileSync('tar', ['-czf', tarball, '-C', tree, '.'])

    const own = await readFile(join(root, 'builder.toml'), 'utf8')
    const moved = own.replaceAll(/uri = "(buildpacks|stacks)\//g, `uri = "${root}/$1/`)
    await writeFile(join(base, 'builder.toml'), `${moved}\n[lifecycle]\nuri = "${tarball}"\n`)
    const create = ['builder', 'create', builder, '--config', join(base, 'builder.toml')]
    const made = await bale([...create, '--run-image', 'bale.local/stacks/trixie:run'])
    expect(made.code, made.output).toBe(0)
  })
  afterAll(() => rm(base, { recursive: true, force: true }))

  const digestIn = ({ output }: Ended) => /^Digest: (sha256:\S+?),/m.exec(output)?.[1] ?? output
  /** An application beside a buildpack that says who runs it. */
  async function app(example: string): Promise<string> {
    const dir = join(await temporaryDirectory(), 'app')
    await cp(join(root, 'examples', example), dir, { recursive: true })
    const script = `grep -q 'Go buildinf' "/proc/$PPID/exe" && echo "run by Go's $(basename "$(readlink "/proc/$PPID/exe")")"
      [ -e /cnb/lifecycle/node ] || echo 'without a Node of the lifecycle'`
    const project = `[_]
schema-version = "0.2"
[[io.buildpacks.pre.buildpacks]]
id = "test/who"
[io.buildpacks.pre.buildpacks.script]
api = "0.10"
inline = '''${script}'''
`
    await writeFile(join(dir, 'project.toml'), project)
    return dir
  }

  it.each([
    ['node', /Creating packages of package-lock\.json/],
    ['flask', /Creating packages of requirements\.txt/],
    ['procfile', /web/],
  ])('build examples/%s, and reuse their layers', async (example, installs) => {
    const path = await app(example)
    // A name of its own, whose caches nothing has filled: not an earlier run, nor the first try of this one.
    const image = `bale-test-go-${example}-${process.pid}-${Date.now()}`
    const build = () => bale(['build', image, '--builder', builder, '--lifecycle', 'builder', '--path', path])
    const first = await build()
    expect(first.code, first.output).toBe(0)
    expect(first.output).toContain('run by Go')
    expect(first.output).toContain('without a Node of the lifecycle')
    expect(first.output).toMatch(installs)
    const again = await build()
    expect(digestIn(again)).toBe(digestIn(first))
    if (example !== 'procfile') expect(again.output).not.toMatch(installs)
    await bale(['image', 'rm', image])
  })
})
