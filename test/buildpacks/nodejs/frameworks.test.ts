import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { nodejs } from '../../../buildpacks/nodejs/nodejs.ts'
import { type Runner, spawnRunner } from '../../../buildpacks/sdk/command.ts'
import type { Tree } from '../../../buildpacks/sdk/testing.ts'
import { writeTree, type Tree as Made } from '../../helpers/tree.ts'
import { openProject } from '../sdk/project.ts'
import { bundledDir } from './bundled.ts'
import { done, FakeNpm } from './fake-npm.ts'

interface Given {
  readonly packages: readonly string[]
  readonly devPackages?: readonly string[]
  readonly scripts?: Readonly<Record<string, string>>
  readonly files?: Tree
  readonly env?: Record<string, string>
  /** What the build leaves. */
  readonly makes?: Made
}

/** An application whose build, by a script or by the framework's command, leaves `makes`. */
async function frameworkProject({ packages, devPackages = [], scripts = {}, files = {}, env = {}, makes = {} }: Given) {
  const npm = new FakeNpm()
  const commands: { command: string; env: Readonly<Record<string, string>> }[] = []
  let made = makes
  const build = async (cwd: string) => {
    await writeTree(cwd, made)
  }
  npm.scripts = { build }
  const runner: Runner = async (command, onLine) => {
    const [program, , line = ''] = command.argv
    if (program === 'mv') return spawnRunner(command, onLine)
    if (program !== 'bash') return npm.runner(command, onLine)
    commands.push({ command: line, env: command.env })
    await build(command.cwd)
    return done()
  }
  const versions = (names: readonly string[]) => Object.fromEntries(names.map(name => [name, '1.0.0']))
  const json = { scripts, dependencies: versions(packages), devDependencies: versions(devPackages) }
  const entries = [...packages, ...devPackages].map(name => [
    `node_modules/${name}`,
    { version: '1.0.0', integrity: 'sha512-x', ...(devPackages.includes(name) && { dev: true }) },
  ])
  const lock = { lockfileVersion: 3, packages: { '': {}, ...(Object.fromEntries(entries) as object) } }
  const app = { 'package.json': JSON.stringify(json), 'package-lock.json': JSON.stringify(lock), ...files }
  const project = await openProject({ buildpack: nodejs, dir: await bundledDir(), app, env, runner })
  return { npm, project, commands, remake: (tree: Made) => (made = tree) }
}

const startOf = (launch: unknown) =>
  (launch as { processes?: { command: string[] }[] } | undefined)?.processes?.[0]?.command[2]

describe('the start of an application whose package.json has none', () => {
  it.each<[string, Given, string]>([
    ['Nuxt', { packages: ['nuxt'], makes: { '.output/server/index.mjs': '' } }, 'node .output/server/index.mjs'],
    ['Next', { packages: ['next'], makes: { '.next/BUILD_ID': '' } }, 'next start'],
    [
      'Next, complete',
      { packages: ['next'], makes: { '.next/BUILD_ID': '', '.next/standalone/server.js': '' } },
      'HOSTNAME=0.0.0.0 node .next/standalone/server.js',
    ],
    [
      'Next, complete, in a workspace',
      { packages: ['next'], makes: { '.next/standalone/apps/web/server.js': '' } },
      'HOSTNAME=0.0.0.0 node .next/standalone/apps/web/server.js',
    ],
    ['SvelteKit', { packages: ['@sveltejs/kit'], makes: { 'build/index.js': '' } }, 'node build/index.js'],
    [
      'SvelteKit with another output',
      {
        packages: ['@sveltejs/kit'],
        files: { 'svelte.config.js': "adapter({ out: 'web' })" },
        makes: { 'web/index.js': '' },
      },
      'node web/index.js',
    ],
    [
      'React Router',
      { packages: ['@react-router/serve'], makes: { 'build/server/index.js': '' } },
      'react-router-serve ./build/server/index.js',
    ],
    ['Remix', { packages: ['@remix-run/serve'], makes: { 'build/index.js': '' } }, 'remix-serve ./build/index.js'],
    [
      'Astro',
      {
        packages: ['astro', '@astrojs/node'],
        files: { 'astro.config.mjs': 'adapter: node()' },
        makes: { 'dist/server/entry.mjs': '' },
      },
      'HOST="${HOST:-0.0.0.0}" node dist/server/entry.mjs',
    ],
    [
      'Angular',
      {
        packages: ['@angular/ssr', '@angular/cli'],
        scripts: { start: 'ng serve' },
        makes: { 'dist/shop/server/server.mjs': '' },
      },
      'node dist/shop/server/server.mjs',
    ],
    [
      'NestJS',
      { packages: ['@nestjs/core'], scripts: { start: 'nest start' }, makes: { 'dist/main.js': '' } },
      'node dist/main.js',
    ],
    [
      'NestJS with a script for production',
      {
        packages: ['@nestjs/core'],
        scripts: { start: 'nest start', 'start:prod': 'node dist/main' },
        makes: { 'dist/main.js': '' },
      },
      'node dist/main',
    ],
    [
      'TanStack Start',
      { packages: ['@tanstack/react-start'], makes: { '.output/server/index.mjs': '' } },
      'node .output/server/index.mjs',
    ],
    [
      'a preview of Nuxt',
      { packages: ['nuxt'], scripts: { start: 'nuxt preview' }, makes: { '.output/server/index.mjs': '' } },
      'node .output/server/index.mjs',
    ],
    [
      'a start script of its own',
      {
        packages: ['nuxt'],
        scripts: { start: 'node run.js' },
        files: { 'run.js': '' },
        makes: { '.output/server/index.mjs': '' },
      },
      'node run.js',
    ],
    [
      'AdonisJS, whose start script is right in the folder that the build makes',
      {
        packages: ['@adonisjs/core'],
        scripts: { start: 'NODE_ENV=production node --enable-source-maps bin/server.js' },
        files: { 'bin/server.ts': '' },
        makes: { 'build/bin/server.js': '' },
      },
      'HOST="${HOST:-0.0.0.0}" node build/bin/server.js',
    ],
    [
      'a start script whose program is in another place',
      {
        packages: ['@nestjs/core'],
        scripts: { start: 'node dist/main' },
        makes: { 'dist/src/main.js': '' },
      },
      'node dist/src/main.js',
    ],
    [
      'SolidStart’s own start, complete',
      {
        packages: ['@solidjs/start', 'vinxi'],
        scripts: { start: 'vinxi start' },
        makes: { '.output/server/index.mjs': '' },
      },
      'node .output/server/index.mjs',
    ],
    [
      'Qwik with a server',
      {
        packages: ['@builder.io/qwik', '@builder.io/qwik-city', 'vite'],
        scripts: { start: 'vite --open --mode ssr' },
        files: { 'adapters/fastify/vite.config.ts': '' },
        makes: { 'server/entry.fastify.js': '', 'dist/q-manifest.json': '' },
      },
      'node server/entry.fastify.js',
    ],
    [
      'Next’s own start, complete',
      { packages: ['next'], scripts: { start: 'next start -p 3000' }, makes: { '.next/standalone/server.js': '' } },
      'HOSTNAME=0.0.0.0 node .next/standalone/server.js',
    ],
    [
      'Next’s own start with more in it',
      { packages: ['next'], scripts: { start: 'migrate && next start' }, makes: { '.next/standalone/server.js': '' } },
      'migrate && next start',
    ],
    [
      'a setting',
      { packages: ['nuxt'], env: { BP_LAUNCHPOINT: 'run.js' }, makes: { '.output/server/index.mjs': '' } },
      'node run.js',
    ],
  ])('%s', async (_name, given, expected) => {
    const { project } = await frameworkProject({ ...given, scripts: { build: 'make', ...given.scripts } })
    const { exitCode, output, launch } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(startOf(launch)).toBe(expected)
  })

  it('is a program that the buildpack brings, for a build that is only a function', async () => {
    const { npm, project } = await frameworkProject({
      packages: ['@tanstack/react-start'],
      scripts: { build: 'vite build' },
      makes: { 'dist/server/server.js': '', 'dist/client/app.js': '' },
    })
    npm.versions['srvx'] = ['1.0.8']
    const { output } = await project.build()
    expect(npm.commands).toContain('npm pack srvx@1.0.8')
    // The archive of the fake registry is another one.
    expect(output).toMatch(/srvx 1\.0\.8 .*(digest|sha512)/)
  })

  it('is an error that says how to have one, if the build leaves no server', async () => {
    const { project } = await frameworkProject({ packages: ['@sveltejs/kit'], scripts: { build: 'vite build' } })
    const { exitCode, output } = await project.build()
    expect(exitCode).not.toBe(0)
    expect(output).toContain('the build with SvelteKit made no server that Node.js can start: none of build/index.js')
    expect(output).toContain('use @sveltejs/adapter-node')
  })

  it.each<[string, string[], string]>([
    ['Qwik', ['@builder.io/qwik', '@builder.io/qwik-city', 'vite'], 'run "npm run qwik add fastify" for a server'],
    ['Astro', ['astro', '@astrojs/vercel'], 'use the adapter @astrojs/node'],
  ])('is an error before anything is fetched where %s has no adapter for it', async (_name, packages, fix) => {
    const files = { 'astro.config.mjs': "import vercel from '@astrojs/vercel'\nexport default { adapter: vercel() }\n" }
    const { project, npm } = await frameworkProject({
      packages,
      scripts: { build: 'make', start: 'vite --open' },
      files,
    })
    const { exitCode, output } = await project.build()
    expect(exitCode).toBe(1)
    expect(output).toContain(fix)
    expect(npm.commands).toEqual([])
  })

  it('is not a server that shows the pages to their developer', async () => {
    const { project } = await frameworkProject({
      packages: ['@builder.io/qwik', '@builder.io/qwik-city', 'vite'],
      scripts: { build: 'qwik build', start: 'vite --open --mode ssr' },
      files: { 'adapters/fastify/vite.config.ts': '' },
      makes: { 'dist/q-manifest.json': '' },
    })
    const { exitCode, output } = await project.build()
    expect(exitCode).not.toBe(0)
    expect(output).toContain('run "npm run qwik add fastify" for a server')
  })

  it('may be the command of NestJS that compiles and starts it', async () => {
    const { project } = await frameworkProject({ packages: ['@nestjs/core'], scripts: { start: 'nest start' } })
    expect(startOf((await project.build()).launch)).toBe('nest start')
  })
})

describe('a complete server', () => {
  const next = {
    packages: ['next'],
    scripts: { build: 'next build' },
    files: { 'public/robots.txt': '' },
    makes: { '.next/standalone/server.js': '', '.next/static/app.js': '', '.next/server/app.js': '' },
  }

  it('of Next gets what browsers load; the packages and the rest of the build go', async () => {
    const { project } = await frameworkProject(next)
    const { exitCode, output, launch } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(await readdir(join(project.appDir, '.next'))).toEqual(['standalone'])
    const files = await readdir(join(project.appDir, '.next/standalone'), { recursive: true })
    expect(files.toSorted()).toEqual([
      '.next',
      '.next/static',
      '.next/static/app.js',
      'public',
      'public/robots.txt',
      'server.js',
    ])
    expect(await readdir(project.appDir)).not.toContain('node_modules')
    expect(JSON.stringify(launch)).toContain('.next/standalone/node_modules')
  })

  it('leaves the packages to other processes', async () => {
    const { project } = await frameworkProject({
      ...next,
      files: { ...next.files, Procfile: 'worker: node worker.js' },
    })
    await project.build()
    expect(await readdir(project.appDir)).toContain('node_modules')
  })
})

describe('a build without a script', () => {
  it('is the framework’s', async () => {
    const { project, commands } = await frameworkProject({
      packages: ['nuxt'],
      makes: { '.output/server/index.mjs': '' },
    })
    const { exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(commands).toMatchObject([
      { command: 'nuxt build', env: { NODE_ENV: 'production', NUXT_TELEMETRY_DISABLED: '1' } },
    ])
    expect(output).toContain('Building with Nuxt: nuxt build')
  })

  it('leaves the user’s variables as they are', async () => {
    const { project, commands } = await frameworkProject({
      packages: ['nuxt'],
      env: { NUXT_TELEMETRY_DISABLED: '0' },
      makes: { '.output/server/index.mjs': '' },
    })
    await project.build()
    expect(commands[0]?.env['NUXT_TELEMETRY_DISABLED']).toBe('0')
  })

  it.each<[string, Partial<Given>]>([
    ['an empty script', { scripts: { build: '' } }],
    ['an empty list of scripts', { env: { GOOGLE_NODE_RUN_SCRIPTS: '' } }],
    ['a framework whose builder is not there', { packages: ['@nestjs/core'] }],
  ])('is none with %s', async (_name, given) => {
    const { project, commands } = await frameworkProject({ packages: ['nuxt'], files: { 'server.js': '' }, ...given })
    const { exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(commands).toEqual([])
  })
})

describe('caches of build tools', () => {
  const next = {
    packages: ['next', 'react'],
    scripts: { build: 'next build' },
    makes: { '.next/BUILD_ID': '1', '.next/cache/webpack/0.pack': 'first', 'node_modules/.cache/babel/a.json': '{}' },
  }

  it('are there in the next build, and not in the image, where Next can still write its own', async () => {
    const { project, remake } = await frameworkProject(next)
    await project.build()
    expect(await readdir(join(project.appDir, '.next/cache'))).toEqual([])
    expect((await lstat(join(project.appDir, '.next/cache'))).mode & 0o777).toBe(0o775)
    expect(await readdir(join(project.appDir, 'node_modules'))).not.toContain('.cache')
    remake({ '.next/BUILD_ID': '2' })
    await project.nextBuild()
    await project.build()
    expect(await project.read('layers/build-caches/.next/cache/webpack/0.pack')).toBe('first')
  })

  it('start empty where the lock file has changed: no dependency leaves anything behind (X40)', async () => {
    const { project, remake } = await frameworkProject(next)
    await project.build()
    remake({ '.next/BUILD_ID': '2' })
    const packages = { '': {}, 'node_modules/next': { version: '2.0.0' }, 'node_modules/react': { version: '2.0.0' } }
    await project.nextBuild({ 'package-lock.json': JSON.stringify({ lockfileVersion: 3, packages }) })
    await project.build()
    expect(await readdir(join(project.layersDir, 'build-caches'))).toEqual([])
  })

  it('that come with the source stay in it', async () => {
    const { project } = await frameworkProject({ ...next, files: { '.turbo/config': 'mine' } })
    await project.build()
    expect(await project.read('workspace/.turbo/config')).toBe('mine')
  })
})

it('devDependencies stay if the start command calls a program of theirs', async () => {
  const { project, npm } = await frameworkProject({
    packages: ['a'],
    devPackages: ['tsx'],
    scripts: { build: 'make', start: 'tsx server.ts' },
    files: { 'server.ts': '' },
    makes: { 'node_modules/.bin/tsx': { link: '../tsx/dist/cli.mjs' } },
  })
  const { exitCode, output } = await project.build()
  expect(exitCode, output).toBe(0)
  expect(output).toContain('devDependencies stay in the image: the start command calls tsx, of tsx')
  expect(npm.commands.filter(command => command.startsWith('npm prune'))).toEqual([])
})

it('devDependencies stay if a script that the start command calls needs one', async () => {
  const { project, npm } = await frameworkProject({
    packages: ['a'],
    devPackages: ['typescript'],
    scripts: { build: 'make', compile: 'tsc', start: 'npm run compile && node dist/index.js' },
    makes: { 'node_modules/.bin/tsc': { link: '../typescript/bin/tsc' } },
  })
  const { exitCode, output } = await project.build()
  expect(exitCode, output).toBe(0)
  expect(output).toContain('devDependencies stay in the image: the start command calls tsc, of typescript')
  expect(npm.commands.filter(command => command.startsWith('npm prune'))).toEqual([])
})

it.each<[string, Record<string, string>, string]>([
  ['Qwik’s server', { 'server/entry.js': "import a from './q.js';import{fetch as b}from'undici';" }, 'server/entry.js'],
  [
    'what it loads',
    { 'server/entry.js': 'export * from "./a"', 'server/a.js': 'import x,\n { y } from "undici/web"' },
    'server/a.js',
  ],
  [
    'after what looks like a comment',
    { 'server/entry.js': "a(/[/*]\\/*'/, b / 2);import 'undici'" },
    'server/entry.js',
  ],
  [
    'with a type that Node takes away alone',
    { 'server/entry.ts': "import { type A } from 'undici'" },
    'server/entry.ts',
  ],
  ['compiled code', { 'server/entry.js': 'const u_1 = __importDefault(require("undici"));' }, 'server/entry.js'],
])('devDependencies stay if the server imports one: %s', async (_name, files, file) => {
  for (const build of ['make', '']) {
    const { project, npm } = await frameworkProject({
      packages: ['a'],
      devPackages: ['undici'],
      scripts: { build, start: 'node server/entry' },
      files,
    })
    const { exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(output).toContain(`devDependencies stay in the image: ${file} imports undici`)
    expect(npm.commands).toContain('npm ci --include=dev')
    expect(npm.commands.filter(command => command.startsWith('npm prune'))).toEqual([])
  }
})

it.each<[string, Record<string, string>]>([
  [
    'inside a function',
    { 'server/entry.js': "if (dev) {\n  const v = await import('undici')\n  require('undici')\n}" },
  ],
  ['as a type', { 'server/entry.js': "import type { A } from 'undici'" }],
  ['in a comment', { 'server/entry.js': "a = [/['\"`]/, 2 /*\nimport 'undici'\n*/] // '\n" }],
  ['in a script that it writes', { 'server/entry.js': "write(`\nimport 'undici'\n`)" }],
  ['by its name alone', { 'server/entry.js': "export default 'undici'" }],
  ['that the server brings along', { 'server/entry.js': "import 'undici'", 'server/node_modules/undici/index.js': '' }],
  ['in a file that it does not load', { 'server/entry.js': '', 'server/other.js': "import 'undici'" }],
])('devDependencies go if one is imported %s', async (_name, files) => {
  const { project, npm } = await frameworkProject({
    packages: ['a'],
    devPackages: ['undici'],
    scripts: { build: 'make', start: 'node server/entry.js' },
    files,
  })
  const { exitCode, output } = await project.build()
  expect(exitCode, output).toBe(0)
  expect(npm.commands.some(command => command.startsWith('npm prune'))).toBe(true)
})

it('devDependencies go if types alone are imported, which tsx takes away with their import', async () => {
  const { project } = await frameworkProject({
    packages: ['tsx'],
    devPackages: ['undici'],
    scripts: { build: 'make', start: 'tsx server.ts' },
    files: { 'server.ts': "import { type A, type B as C } from 'undici'" },
  })
  expect((await project.build()).output).not.toContain('devDependencies stay')
})

it('a file with many blank lines is read in no time', { timeout: 5000 }, async () => {
  const { project } = await frameworkProject({
    packages: ['a'],
    devPackages: ['undici'],
    scripts: { build: 'make', start: 'node server.js' },
    files: { 'server.js': '\n'.repeat(80_000) },
  })
  expect((await project.build()).exitCode).toBe(0)
})

it('devDependencies go if the start script that calls them gives way to what the build made', async () => {
  const { project, npm } = await frameworkProject({
    packages: ['@nestjs/core'],
    devPackages: ['@nestjs/cli'],
    scripts: { build: 'nest build', start: 'nest start' },
    makes: { 'dist/main.js': '', 'node_modules/.bin/nest': { link: '../@nestjs/cli/bin/nest.js' } },
  })
  const { exitCode, output } = await project.build()
  expect(exitCode, output).toBe(0)
  expect(output).toContain('Starts with: node dist/main.js')
  expect(npm.commands.filter(command => command.startsWith('npm prune'))).toHaveLength(1)
})

it('RAILPACK_INSTALL_CMD installs in place of the package manager', async () => {
  const { project, npm, commands } = await frameworkProject({
    packages: ['a'],
    files: { 'server.js': '' },
    env: { RAILPACK_INSTALL_CMD: 'npm install --legacy-peer-deps' },
  })
  const { exitCode, output } = await project.build()
  expect(exitCode, output).toBe(0)
  expect(commands).toMatchObject([{ command: 'npm install --legacy-peer-deps' }])
  expect(npm.commands).not.toContain('npm ci --omit=dev')
})

describe('an Angular server', () => {
  const checks = { 'node_modules/@angular/ssr/fesm2022/node.mjs': "getArrayFromEnv('NG_ALLOWED_HOSTS')" }
  const built = { 'dist/shop/server/server.mjs': '' }

  it.each([
    ['that knows no host', { 'angular.json': '{ "security": { "allowedHosts": [] } }' }, {}, checks, true],
    ['with its hosts in angular.json', { 'angular.json': '{ "allowedHosts": [ "a.example" ] }' }, {}, checks, false],
    ['with its hosts in the server', { 'src/server.ts': 'allowedHosts: ["a.example"]' }, {}, checks, false],
    ['with its hosts in the image', {}, { BPE_NG_ALLOWED_HOSTS: 'a.example' }, checks, false],
    ['of an age that answers all', {}, {}, {}, false],
  ] as const)('%s is warned of, if it answers nobody', async (_name, files, env, installed, warns) => {
    const makes = { ...installed, ...built }
    const { project } = await frameworkProject({
      packages: ['@angular/ssr'],
      scripts: { build: 'make' },
      files,
      env,
      makes,
    })
    const { exitCode, output } = await project.build()
    expect(exitCode, output).toBe(0)
    expect(output.includes('Run the image with NG_ALLOWED_HOSTS=')).toBe(warns)
  })
})
