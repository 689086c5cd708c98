import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { nodejs } from '../../../buildpacks/nodejs/nodejs.ts'
import type { Runner } from '../../../buildpacks/sdk/command.ts'
import type { Tree } from '../../../buildpacks/sdk/testing.ts'
import { openProject } from '../sdk/project.ts'
import { bundledDir } from './bundled.ts'
import { done, FakeNpm } from './fake-npm.ts'

const lock = JSON.stringify({
  version: '5',
  npm: { 'is-odd@3.0.1': {}, '@s/b@1.0.0_peer@2.0.0': {} },
  jsr: { '@std/path@1.1.0': {} },
})

async function denoProject(app: Tree, env: Record<string, string> = {}, writesLock = false) {
  const npm = new FakeNpm()
  npm.versions['@deno/linux-x64-glibc'] = ['1.46.3', '2.8.0', '2.9.6', '3.0.0-rc.1', '3.0.0-rc.2']
  const commands: string[] = []
  const runner: Runner = async (command, onLine) => {
    const [program, ...args] = command.argv
    if (program === 'bash') return done(void commands.push(args.slice(1).join(' ')))
    if (!program.endsWith('/bin/deno')) {
      const result = await npm.runner(command, onLine)
      // The archive that was unpacked has the program.
      if (program === 'sh') await writeFile(join(command.argv.at(-1) ?? '', 'deno'), '')
      return result
    }
    commands.push(['deno', ...args].join(' '))
    if (writesLock) await writeFile(join(command.cwd, 'deno.lock'), lock)
    for (const file of [
      'npm/r/is-odd/registry.json',
      'npm/r/is-odd/3.0.1/index.js',
      'dep_analysis_cache_v2',
      'gen/file/main.js',
    ]) {
      const path = join(command.env['DENO_DIR'] ?? '', file)
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, '')
    }
    return done()
  }
  return { commands, project: await openProject({ buildpack: nodejs, dir: await bundledDir(), app, env, runner }) }
}

const app: Tree = {
  'deno.jsonc': '{\n  // ours\n  "imports": { "x": "npm:is-odd@3" },\n}\n',
  'deno.lock': lock,
  'main.ts': 'import "x"',
}

describe('Deno', () => {
  it('is detected by its files', async () => {
    const { project } = await denoProject(app)
    expect(await project.detect()).toMatchObject({ exitCode: 0, plan: { provides: [{ name: 'node' }] } })
  })

  it('starts a file from what the lock file names, without Node in the image', async () => {
    const { project, commands } = await denoProject(app)
    const { exitCode, output, launch, layers } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(output).toContain('Deno 2.9.6: the default asks for 2.x')
    expect(commands).toEqual(['deno install --frozen --entrypoint main.ts'])
    const command = 'deno run --allow-all --cached-only --frozen main.ts'
    expect(launch).toMatchObject({ processes: [{ command: ['bash', '-c', command, 'bash'] }] })
    expect(Object.keys(layers)).toEqual(['deno', 'deno-modules'])
    expect(await project.read('layers/deno-modules/npm/r/is-odd/3.0.1/index.js')).toBe('')
    for (const file of ['dep_analysis_cache_v2', 'gen/file/main.js', 'npm/r/is-odd/registry.json'])
      await expect(project.read(`layers/deno-modules/${file}`)).rejects.toThrow('ENOENT')
    const sbom = await project.read('layers/deno-modules.sbom.cdx.json')
    for (const purl of ['pkg:npm/is-odd@3.0.1', 'pkg:npm/%40s/b@1.0.0', 'pkg:generic/%40std/path@1.1.0'])
      expect(sbom).toContain(purl)
  })

  it('takes modules of the build before while nothing that decides about them has changed', async () => {
    const { project } = await denoProject(app)
    const state = async (changes: Tree) => {
      await project.nextBuild(changes)
      return /(?:Creating|Using) modules for Deno \(?(.*?)\)?$/m.exec((await project.build()).output)?.[1]
    }
    await project.build()
    expect(await state({ 'main.ts': 'import "x"; import "./other.ts"; // changed' })).toBe('from the cache')
    expect(await state({ 'main.ts': 'import "x"; import("npm:other")' })).toBe('imports changed')
    expect(await state({ 'deno.lock': '{}' })).toContain('deno.lock changed')
    expect(await state({ 'deno.jsonc': '{}' })).toContain('settings changed')
  })

  it('fetches them in each build without a lock file', async () => {
    const { 'deno.lock': _, ...unlocked } = app
    const { project } = await denoProject(unlocked)
    await project.build()
    await project.nextBuild()
    expect((await project.build()).output).toContain('Creating modules for Deno (there is no deno.lock)')
  })

  it('builds and starts by tasks', async () => {
    const tasks = { build: 'deno run build.ts', start: { command: 'deno serve main.ts' } }
    const { project, commands } = await denoProject({ 'deno.json': JSON.stringify({ tasks }), 'deno.lock': lock })
    const { launch } = await project.build()
    expect(commands).toEqual(['deno install --frozen', 'deno task build'])
    const address = 'DENO_SERVE_ADDRESS="${DENO_SERVE_ADDRESS:-tcp:0.0.0.0:$PORT}"'
    expect(launch).toMatchObject({ processes: [{ command: ['bash', '-c', `${address} deno task start`, 'bash'] }] })
  })

  it.each(['deno run -A main.ts', 'deno serve --port 9000 main.ts'])('leaves the port to the task %s', async start => {
    const { project } = await denoProject({ ...app, 'deno.jsonc': JSON.stringify({ tasks: { start } }) })
    expect((await project.build()).output).toContain('Starts with: deno task start (')
  })

  it.each<[string, string, object]>([
    ['has a function fetch', 'export default {\n  fetch() { return new Response() },\n}', {}],
    ['has a handler named fetch', 'export default { title: "}", pattern: /[}]/, fetch: handle }', {}],
    ['has a variable named fetch', 'export default {\n  // { all\n  fetch,\n} satisfies Deno.ServeDefaultExport', {}],
    ['has a quoted name', 'export default { async "fetch"(request) { return answer(request) } }', {}],
    ['a task serves', 'export default app', { dev: 'deno serve --watch ./main.ts' }],
  ])('serves a start file without a task "start" on PORT, if its default export %s', async (_name, source, tasks) => {
    const files = { ...app, 'main.ts': source, 'deno.jsonc': JSON.stringify({ tasks }) }
    const { project } = await denoProject(files)
    expect((await project.build()).output).toContain(
      'Starts with: deno serve --allow-all --cached-only --frozen --port "$PORT" main.ts (main.ts exports a handler)',
    )
  })

  it.each<[string, string]>([
    ['starts its server', 'export default { fetch }\nDeno.serve(fetch)'],
    ['exports something else', 'export default app'],
    ['fetches after what it exports', 'export default { title: 1 }\nconst r = await fetch(url)'],
    ['fetches in a function of what it exports', 'export default {\n  load() { return call(url, fetch) },\n}'],
    ['exports fetch under another name', 'export default { load: fetch, }'],
    ['exports texts', 'export default { a: "{, fetch,", b: /[{,]fetch,/, c: `{ fetch }` } // {, fetch }'],
  ])('runs a start file that %s', async (_name, source) => {
    const { project } = await denoProject({ ...app, 'main.ts': source })
    expect((await project.build()).output).toContain('Starts with: deno run ')
  })

  it.each([true, false])('holds each npm package once, in node_modules if Deno created it: %s', async creates => {
    const { project } = await denoProject({
      ...app,
      'package.json': '{}',
      ...(creates && { 'node_modules/.deno/is-odd/index.js': '' }),
    })
    await project.build()
    const kept = project.read('layers/deno-modules/npm/r/is-odd/3.0.1/index.js').then(
      () => true,
      () => false,
    )
    expect(await kept).toBe(!creates)
  })

  it.each<[string, string, Tree, boolean, boolean]>([
    ['keeps npm packages', 'no lock file is written', {}, false, true],
    [
      'keeps npm packages',
      'Deno does not read it',
      { 'deno.lock': lock, 'deno.jsonc': '{"lock": false}' },
      false,
      true,
    ],
    ['holds npm packages once', 'the installation writes one', {}, true, false],
  ])('%s beside node_modules without a lock file, if %s', async (_does, _if, files, writesLock, expected) => {
    const { 'deno.lock': _, ...unlocked } = app
    const folders = { 'package.json': '{}', 'node_modules/.deno/is-odd/index.js': '' }
    const { project } = await denoProject({ ...unlocked, ...folders, ...files }, {}, writesLock)
    const { exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    const kept = project.read('layers/deno-modules/npm/r/is-odd/registry.json').then(
      () => true,
      () => false,
    )
    expect(await kept).toBe(expected)
  })

  it.each<[string, Tree, Record<string, string>, string]>([
    ['only a pre-release', { '.dvmrc': '^3.0.0-rc.1' }, {}, 'Deno 3.0.0-rc.2: .dvmrc asks for ^3.0.0-rc.1'],
    ['a setting', {}, { BP_DENO_VERSION: '2.8.0' }, 'Deno 2.8.0: BP_DENO_VERSION asks for 2.8.0'],
    ['.dvmrc', { '.dvmrc': '1.46.3\n' }, {}, 'Deno 1.46.3: .dvmrc asks for 1.46.3'],
    ['.tool-versions', { '.tool-versions': 'deno 2.8.0\n' }, {}, 'Deno 2.8.0: .tool-versions asks for 2.8.0'],
    ['mise.toml', { 'mise.toml': '[tools]\ndeno = "latest"\n' }, {}, 'Deno 2.9.6: mise.toml asks for *'],
    ['no version', { '.dvmrc': 'canary' }, {}, 'Error: .dvmrc: "canary" is not a version of Deno or a range'],
    ['nobody who can have it', { '.dvmrc': '9.0.0' }, {}, 'Error: .dvmrc: no version of Deno satisfies "9.0.0"'],
  ])('has the version of %s', async (_name, files, env, expected) => {
    const { project } = await denoProject({ ...app, ...files }, env)
    expect((await project.build()).output).toContain(expected)
  })

  it('is not what an application for Node.js with settings of its formatter needs', async () => {
    const { project } = await denoProject({ 'deno.json': '{}', 'package.json': '{"scripts": {"start": "node a.js"}}' })
    expect((await project.build()).output).toContain('Starts with: node a.js')
  })

  it('says what is missing if nothing can be started', async () => {
    const { project } = await denoProject({ 'deno.json': '{}' })
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toContain('Error: deno.json: no start command found: no task "start"')
  })
})
