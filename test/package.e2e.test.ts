import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bale, digestIn, root } from './helpers/bale.ts'
import { skip } from './helpers/skip.ts'
import { writeTree } from './helpers/tree.ts'

// The package as npm packs it, installed in an empty project as its users would.

const run = promisify(execFile)
const dir = await mkdtemp(join(tmpdir(), 'bale-test-package-'))
afterAll(() => rm(dir, { recursive: true, force: true }))
const project = join(dir, 'project')
const installed = join(project, 'node_modules', 'bale')
const crossCompiler = process.arch === 'arm64' ? 'x86_64-linux-gnu-gcc' : 'aarch64-linux-gnu-gcc'
const hasCrossCompiler = (process.env['PATH'] ?? '').split(':').some(bin => existsSync(join(bin, crossCompiler)))

beforeAll(async () => {
  if (!hasCrossCompiler) return
  const { stdout } = await run('npm', ['pack', '--silent', `--pack-destination=${dir}`], { cwd: root })
  const archive = join(dir, stdout.trim().split('\n').at(-1) ?? '')
  await writeTree(project, {
    'package.json': '{ "name": "consumer", "private": true, "type": "module" }\n',
    'buildpack.toml': 'api = "0.10"\n[buildpack]\nid = "example/hello"\nversion = "1.0.0"\n',
  })
  await run('npm', ['install', '--no-audit', '--no-fund', archive], { cwd: project })
}, 300_000)

const buildpack = `
const hello = defineBuildpack({
  detect: async ({ app }) => ((await app.has('hello.txt')) ? pass('hello.txt is there') : fail('no hello.txt')),
  build: async () => ({ launch: { processes: [shellProcess('web', 'cat hello.txt', { default: true })] } }),
})
await using project = await TestProject.create({ buildpack: hello, dir: '.', app: { 'hello.txt': 'hello' } })
const outcome = await project.build()
`

describe('the npm package', () => {
  it('holds every file of dist/bale that does not depend on the machine, and no TypeScript to strip', context => {
    if (!hasCrossCompiler) return skip(context, `npm pack needs ${crossCompiler}`)
    const files = (from: string): string[] =>
      readdirSync(from, { recursive: true, withFileTypes: true })
        .filter(entry => !entry.isDirectory())
        .map(entry => join(entry.parentPath, entry.name).slice(from.length + 1))
        .sort()
    const isMachines = (file: string): boolean => file.endsWith('.v8') || file === 'stamp'
    const made = files(join(root, 'dist/bale'))
    expect(files(join(installed, 'dist/bale'))).toEqual(made.filter(file => !isMachines(file)))
    const sources = files(installed).filter(file => file.endsWith('.ts') && !/\/buildpacks\/\w+\/npm\//.test(file))
    expect(sources.filter(file => !file.endsWith('.d.ts'))).toEqual([])
    for (const arch of ['amd64', 'arm64']) expect(made).toContain(`launcher/launcher-linux-${arch}`)
  })

  it('is imported from JavaScript', async context => {
    if (!hasCrossCompiler) return skip(context, `npm pack needs ${crossCompiler}`)
    await writeTree(project, {
      'consumer.js': `import { BaleError, build, rebase } from 'bale'
import { BuildpackError, defineBuildpack, fail, pass, shellProcess } from 'bale/sdk'
import { TestProject } from 'bale/sdk/testing'
${buildpack}
const names = [build, rebase, BaleError, BuildpackError].map(value => typeof value)
console.log(JSON.stringify({ exitCode: outcome.exitCode, command: outcome.launch.processes[0].command, names }))
`,
    })
    const { stdout } = await run(process.execPath, ['consumer.js'], { cwd: project })
    expect(JSON.parse(stdout)).toEqual({
      exitCode: 0,
      command: expect.arrayContaining([expect.stringContaining('cat hello.txt')]) as unknown,
      names: ['function', 'function', 'function', 'function'],
    })
  })

  it('is imported from TypeScript: strict, with its declarations checked, and wrong use refused', async context => {
    if (!hasCrossCompiler) return skip(context, `npm pack needs ${crossCompiler}`)
    await writeTree(project, {
      'tsconfig.json': JSON.stringify({
        compilerOptions: {
          strict: true,
          exactOptionalPropertyTypes: true,
          skipLibCheck: false,
          target: 'es2024',
          lib: ['es2024', 'esnext.disposable'],
          module: 'nodenext',
          noEmit: true,
        },
        files: ['consumer.ts'],
      }),
      'consumer.ts': `import { BaleError, type BuildOptions, type BuildResult, build, type Settings } from 'bale'
import { type Buildpack, defineBuildpack, fail, pass, shellProcess } from 'bale/sdk'
import { type BuildOutcome, TestProject } from 'bale/sdk/testing'
${buildpack}
export const typed: readonly [Buildpack, BuildOutcome] = [hello, outcome]
export const program = (options: BuildOptions): Promise<BuildResult> => build(options)
export const where = (error: BaleError): string | undefined => error.where
export const data = (settings: Settings): string => settings.dataDir
// @ts-expect-error: options without an image
void build({})
// @ts-expect-error: a verdict that is none
defineBuildpack({ detect: async () => 'yes', build: async () => ({}) })
`,
    })
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    const checked = await run(process.execPath, [tsc, '-p', '.'], { cwd: project }).catch((error: unknown) => error)
    expect((checked as { stdout: string }).stdout).toBe('')
  })

  it('builds: `npx bale build` gives the image that a checkout gives', async context => {
    if (!hasCrossCompiler) return skip(context, `npm pack needs ${crossCompiler}`)
    const app = join(root, 'examples/procfile')
    const flags = ['--quiet', '--path', app]
    const { stdout } = await run('npx', ['bale', 'build', `oci:${dir}/installed:latest`, ...flags], { cwd: project })
    const here = await bale(['build', `oci:${dir}/checkout:latest`, ...flags])
    expect(/@(sha256:\S+)/.exec(stdout)?.[1]).toBe(digestIn(here))
  })
})
