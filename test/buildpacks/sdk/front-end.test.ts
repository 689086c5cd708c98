import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { App, findFrontEnd, findWebFramework, type FrontEnd, weighLanguages } from '../../../buildpacks/sdk/index.ts'
import { isForDevelopment, servesFilesOnly } from '../../../buildpacks/sdk/web-frameworks.ts'
import { writeTree } from '../../helpers/tree.ts'

interface Parts {
  readonly scripts?: Readonly<Record<string, string>>
  readonly packages: readonly string[]
  readonly devPackages?: readonly string[]
  readonly files?: Readonly<Record<string, string>>
}

async function appOf({ scripts = {}, packages, devPackages = [], files = {} }: Parts): Promise<App> {
  const root = await mkdtemp(join(tmpdir(), 'front-end-'))
  onTestFinished(() => rm(root, { recursive: true }))
  const tableOf = (names: readonly string[]) => Object.fromEntries(names.map(name => [name, '1']))
  const json = { scripts, dependencies: tableOf(packages), devDependencies: tableOf(devPackages) }
  await writeTree(root, { 'package.json': JSON.stringify(json), ...files })
  return new App(root)
}

describe('a front end whose build gives files alone', () => {
  it.each<[string, Parts, Partial<FrontEnd>]>([
    ['without a build script', { packages: ['astro'] }, { name: 'Astro', output: 'dist', build: 'astro build' }],
    [
      'VitePress in a directory',
      { packages: ['vitepress'], scripts: { build: 'vitepress build docs' } },
      { name: 'VitePress', output: 'docs/.vitepress/dist' },
    ],
    [
      'Eleventy with an output',
      { packages: ['@11ty/eleventy'], scripts: { build: 'npx @11ty/eleventy --output=./www' } },
      { name: 'Eleventy', output: 'www' },
    ],
    [
      'Vite with an output in its configuration',
      {
        packages: ['vite', 'vue-router'],
        scripts: { build: 'vite build' },
        files: { 'vite.config.mts': "outDir: 'web'" },
      },
      { name: 'Vite', output: 'web', pushState: true },
    ],
    [
      'Vite that a preview starts',
      { packages: ['vite'], scripts: { build: 'vite build', start: 'vite preview --port 80' } },
      { name: 'Vite', output: 'dist' },
    ],
    [
      'webpack with a plugin for the page',
      {
        packages: ['webpack', 'webpack-cli', 'html-webpack-plugin'],
        scripts: { build: 'webpack', start: 'webpack serve' },
        files: { 'webpack.config.js': "output: { path: path.resolve(__dirname, 'web') }" },
      },
      { name: 'webpack', output: 'web' },
    ],
    [
      'a build script of one’s own beside a page',
      {
        packages: ['esbuild'],
        scripts: { build: 'esbuild app.js --bundle --outdir=www', start: 'wds --open' },
        files: { 'index.html': '', 'app.js': 'document.title = "x"' },
      },
      { name: 'its script "build"', output: 'www' },
    ],
    [
      'Storybook alone',
      {
        packages: ['storybook', '@storybook/react-vite', 'vite'],
        scripts: { 'build-storybook': 'storybook build --output-dir site/ui' },
      },
      { name: 'Storybook', output: 'site/ui', build: 'storybook build --output-dir site/ui' },
    ],
    [
      'Storybook beside an application',
      { packages: ['storybook', 'vite'], scripts: { build: 'vite build', 'build-storybook': 'storybook build' } },
      { name: 'Vite', output: 'dist' },
    ],
    [
      'Angular',
      {
        packages: ['@angular/cli', '@angular/router'],
        scripts: { build: 'ng build', start: 'ng serve' },
        files: { 'angular.json': '{ "projects": { "shop": {} } }' },
      },
      { name: 'Angular', output: 'dist/shop', pushState: true },
    ],
    [
      'Angular with pages that are rendered ahead',
      {
        packages: ['@angular/cli', '@angular/ssr', 'express'],
        scripts: { build: 'ng build' },
        files: { 'angular.json': '{ "projects": { "shop": { "outputMode": "static" } } }' },
      },
      { name: 'Angular', output: 'dist/shop', pushState: true },
    ],
    [
      'SvelteKit with adapter-static, the template’s adapter beside it',
      {
        packages: ['@sveltejs/kit', '@sveltejs/adapter-auto', '@sveltejs/adapter-static', 'vite'],
        scripts: { build: 'vite build' },
        files: { 'svelte.config.js': "import adapter from '@sveltejs/adapter-static'; adapter({ pages: 'site' })" },
      },
      { name: 'SvelteKit', output: 'site', pushState: false },
    ],
    [
      'SvelteKit whose settings are Vite’s, with the start page for every path',
      {
        packages: ['@sveltejs/kit', '@sveltejs/adapter-static', 'vite'],
        scripts: { build: 'vite build', prepare: 'svelte-kit sync' },
        files: {
          'vite.config.ts':
            "import adapter from '@sveltejs/adapter-static'; sveltekit({ adapter: adapter({ fallback: 'index.html' }) })",
        },
      },
      { name: 'SvelteKit', output: 'build', pushState: true },
    ],
    [
      'SvelteKit beside plugins whose settings have the names of the adapter’s',
      {
        packages: ['@sveltejs/kit', '@sveltejs/adapter-static', 'vite'],
        scripts: { build: 'vite build' },
        files: {
          'svelte.config.js': "import adapter from '@sveltejs/adapter-static'; adapter()",
          'vite.config.ts': "plugins: [sveltekit(), sitemap({ pages: 'src/pages' }), pwa({ fallback: 'index.html' })]",
        },
      },
      { name: 'SvelteKit', output: 'build', pushState: false },
    ],
    [
      'SvelteKit whose settings are Vite’s, beside such plugins and a file that is ignored',
      {
        packages: ['@sveltejs/kit', '@sveltejs/adapter-static', 'vite'],
        scripts: { build: 'vite build' },
        files: {
          'svelte.config.js': "import adapter from '@sveltejs/adapter-node'; adapter({ pages: 'old' })",
          'vite.config.ts':
            "import adapter from '@sveltejs/adapter-static'\nplugins: [sveltekit({ adapter: adapter() }), pwa({ fallback: 'index.html', pages: 'a' })]",
        },
      },
      { name: 'SvelteKit', output: 'build', pushState: false },
    ],
    [
      'Vite with an output in a comment',
      {
        packages: ['vite'],
        scripts: { build: 'vite build' },
        files: { 'vite.config.ts': "// outDir: 'old'\n/* outDir: 'older' */\nbuild: { outDir: 'web' }" },
      },
      { name: 'Vite', output: 'web' },
    ],
    ...(['single', 'static'] as const).map((output): [string, Parts, Partial<FrontEnd>] => [
      `Expo with the output "${output}"`,
      {
        packages: ['expo', 'expo-router'],
        scripts: { start: 'expo start' },
        files: { 'app.json': `{ "expo": { "web": { "output": "${output}" } } }`, 'app.js': '' },
      },
      { name: 'Expo', output: 'dist', pushState: output === 'single' },
    ]),
    ['Expo without settings', { packages: ['expo'] }, { name: 'Expo', pushState: true }],
    [
      'Expo with settings in a script',
      { packages: ['expo'], files: { 'app.config.ts': "export default { web: { output: 'server' } }" } },
      { name: 'Expo', needsServer: expect.stringContaining('write "static"') as string },
    ],
    [
      'Angular beside a server of examples',
      {
        packages: ['@angular/router'],
        scripts: { start: 'ng serve', build: 'ng build', api: 'json-server db.json' },
        files: { 'angular.json': '{ "projects": { "shop": {} } }' },
        devPackages: ['@angular/cli', 'json-server', 'http-server'],
      },
      { name: 'Angular', output: 'dist/shop' },
    ],
    [
      'Preact with its router',
      { packages: ['preact', 'preact-iso', 'vite'], scripts: { build: 'vite build' } },
      { name: 'Vite', pushState: true },
    ],
    [
      'nuxt generate',
      { packages: ['nuxt'], scripts: { build: 'nuxt generate' } },
      { name: 'Nuxt', output: '.output/public' },
    ],
    [
      'nuxt build of pages alone',
      {
        packages: ['nuxt'],
        scripts: { build: 'nuxt build' },
        files: { 'nuxt.config.ts': "export default defineNuxtConfig({ nitro: { preset: 'static' } })" },
      },
      { name: 'Nuxt', output: '.output/public' },
    ],
    [
      'React Router without a server',
      {
        packages: ['@react-router/node', '@react-router/dev', 'react-router', 'vite'],
        scripts: { build: 'react-router build' },
        files: { 'react-router.config.ts': 'export default { ssr: false } satisfies Config' },
      },
      { name: 'React Router', output: 'build/client', pushState: true },
    ],
    [
      'Remix without a server',
      {
        packages: ['@remix-run/node', '@remix-run/dev', 'vite'],
        scripts: { build: 'remix vite:build' },
        files: { 'vite.config.ts': 'remix({ ssr: false })' },
      },
      { name: 'Remix', output: 'build/client', pushState: true },
    ],
    [
      'Next with an export',
      {
        packages: ['next'],
        scripts: { build: 'next build', start: 'next start' },
        files: { 'next.config.ts': 'const config = { output: "export", distDir: "site" }' },
      },
      { name: 'Next.js', output: 'site', pushState: false },
    ],
    [
      'Astro whose adapter is not used',
      { packages: ['astro', '@astrojs/node'], files: { 'astro.config.mjs': 'export default {}' } },
      { name: 'Astro', output: 'dist' },
    ],
  ])('%s', async (_name, parts, expected) => {
    const app = await appOf(parts)
    expect(await findFrontEnd(app)).toMatchObject(expected)
    expect((await weighLanguages(app, {})).server?.language.id).toBe('static')
  })

  it.each<[string, Parts]>([
    ['Vite without a page or a script', { packages: ['vite'] }],
    [
      'a program with a build script beside a page',
      {
        packages: ['typescript'],
        scripts: { build: 'tsc' },
        files: { 'public/index.html': '', 'index.js': 'process.exit()' },
      },
    ],
    ['a server of files with Vite', { packages: ['serve', 'vite'], scripts: { build: 'vite build' } }],
    [
      'a server of files with Vite, which a Procfile may start',
      {
        packages: ['vite'],
        devPackages: ['serve'],
        scripts: { build: 'vite build' },
        files: { Procfile: 'web: serve dist' },
      },
    ],
    ['Express with Vite', { packages: ['express', 'vite'], scripts: { build: 'vite build' } }],
    [
      'a start script of another kind',
      { packages: ['astro'], scripts: { build: 'astro build', start: 'node run.js' } },
    ],
  ])('is not %s', async (_name, parts) => expect(await findFrontEnd(await appOf(parts))).toBeUndefined())
})

describe('an application with the server of a framework', () => {
  it.each<[string, Parts]>([
    ['Next', { packages: ['next', 'react'], scripts: { build: 'next build' } }],
    ['Nuxt', { packages: ['nuxt'], scripts: { build: 'nuxt build', start: 'nuxt preview' } }],
    ['SvelteKit', { packages: ['@sveltejs/kit', '@sveltejs/adapter-auto', 'vite'], scripts: { build: 'vite build' } }],
    [
      'SvelteKit',
      {
        packages: ['@sveltejs/kit', '@sveltejs/adapter-node', 'vite'],
        scripts: { build: 'vite build' },
        files: { 'svelte.config.js': "// instead of adapter-static\nimport adapter from '@sveltejs/adapter-node'" },
      },
    ],
    [
      'Astro',
      {
        packages: ['astro', '@astrojs/node'],
        scripts: { start: 'astro dev' },
        files: { 'astro.config.mjs': 'adapter: node()' },
      },
    ],
    ['Angular SSR', { packages: ['@angular/cli', '@angular/ssr', 'express'], scripts: { start: 'ng serve' } }],
    ['React Router', { packages: ['@react-router/node', 'vite'], scripts: { build: 'react-router build' } }],
    ['TanStack Start', { packages: ['@tanstack/react-start', '@tanstack/react-router', 'vite'] }],
    ['NestJS', { packages: ['@nestjs/core', '@nestjs/cli'], scripts: { start: 'nest start' } }],
  ])('%s', async (name, parts) => {
    const app = await appOf(parts)
    expect(await findFrontEnd(app)).toBeUndefined()
    expect(await findWebFramework(app)).toBe(name)
    const { server } = await weighLanguages(app, {})
    expect(server).toMatchObject({ language: { id: 'nodejs' }, strength: 'server' })
    if (parts.scripts?.['start'] === undefined) expect(server?.because).toBe(`package.json with ${name}`)
  })
})

describe('a start script', () => {
  it.each([
    'vite',
    'vite preview --port 3000',
    'npx astro dev',
    'NODE_ENV=dev ng serve',
    'npm run dev',
    'nest start',
    'gulp',
    'grunt serve',
  ])('for development: %s', script => expect(isForDevelopment(script)).toBe(true))

  it.each(['next start', 'node server.js', 'nuxtify', 'remix-serve build/index.js', 'npm run start:prod', 'vitest'])(
    'for production: %s',
    script => expect(isForDevelopment(script)).toBe(false),
  )

  it.each([
    'vite',
    'vite build && vite preview',
    'vite build && cp a.txt dist && npx serve -s dist',
    'NODE_ENV=production webpack --progress; npx webpack serve',
    'vite > vite.log 2>&1 &',
  ])('that serves files only: %s', script => expect(servesFilesOnly(script)).toBe(true))

  it.each([
    'webpack --mode production && node server.js',
    'rollup -c; node server.js',
    'webpack --watch & node server.js',
    // Node.js started this before.
    'npx serve dist',
    'npm run build && vite preview',
    'cd server && npm run dev',
  ])('that may start a server: %s', script => expect(servesFilesOnly(script)).toBe(false))
})
