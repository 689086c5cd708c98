import type { App } from './app.ts'
import { svelteConfig } from './web-frameworks.ts'

/** A front end whose build writes files and no server. */
export interface FrontEnd {
  /** The tool's name for users: `Vite`. */
  readonly name: string
  /** The command that builds it, if package.json has no script for that. */
  readonly build: string
  /** The directory of the output, as far as it is known before the build. */
  readonly output: string
  /** The front end has a router: the start page answers for every path that is not a file. */
  readonly pushState: boolean
  /** Names of files below these directories of the output change with their contents. */
  readonly hashed: readonly string[]
  /** Its settings request a server, which the tool does not write: says what to do. */
  readonly needsServer?: string
  /** No known tool: only a build script and a page indicate a front end, which counts if nothing contradicts it. */
  readonly guessed?: true
}

/** A tool whose build writes files and no server. */
export interface FrontEndTool {
  /** The package that identifies the tool among the application's packages. */
  readonly package: string
  /** The name for users. */
  readonly name: string
  /** The command that builds, if package.json has no script for it. */
  readonly build: string
  /** The default directory of the output. */
  readonly output: string
  /** Names of files below these directories of the output change with their contents. */
  readonly hashed?: readonly string[]
  /** Files that may name another output, without their extensions. */
  readonly configs?: readonly string[]
  /** Reads the relevant part of these files, if not all of their text counts. */
  readonly readConfig?: (app: App) => Promise<string>
  /** Matches the setting of the output in these files. */
  readonly named?: RegExp
  /** Matches the setting for a front end whose start page answers for each path. */
  readonly pushState?: RegExp
  /** Matches a setting that requests a server, and says what to do, since the build does not write a server that starts. */
  readonly needsServer?: readonly [asked: RegExp, fix: string]
  /** The tool also bundles servers: a file that Node.js could start makes the application a server. */
  readonly ofServers?: true
  /** Matches the directory in the command that contains the output: `vitepress build docs`. */
  readonly below?: RegExp
}

const outDir = /\boutDir\s*:\s*['"`](?:\.\/)?([\w./-]+)['"`]/
const outputDir = /\boutputDir\s*:\s*['"`](?:\.\/)?([\w./-]+)['"`]/

const webpackPath = /\bpath\s*:\s*path\.\w+\(\s*(?:__dirname|import\.meta\.dirname)\s*,\s*['"`](?:\.\/)?([\w./-]+)['"`]/

/** Tools by precedence: a tool that is built upon another comes before it. */
export const frontEndTools: readonly FrontEndTool[] = [
  {
    package: '@docusaurus/core',
    name: 'Docusaurus',
    build: 'docusaurus build',
    output: 'build',
    hashed: ['assets'],
  },
  {
    package: 'vitepress',
    name: 'VitePress',
    build: 'vitepress build',
    output: '.vitepress/dist',
    hashed: ['assets'],
    below: /\bvitepress\s+build\s+([\w./-]+)/,
  },
  {
    package: 'vuepress',
    name: 'VuePress',
    build: 'vuepress build',
    output: '.vuepress/dist',
    hashed: ['assets'],
    below: /\bvuepress\s+build\s+([\w./-]+)/,
  },
  ...['rspress', '@rspress/core'].map(name => ({
    package: name,
    name: 'Rspress',
    build: 'rspress build',
    output: 'doc_build',
    hashed: ['static'],
    configs: ['rspress.config'],
    named: outDir,
  })),
  {
    package: '@observablehq/framework',
    name: 'Observable Framework',
    build: 'observable build',
    output: 'dist',
    hashed: ['_import', '_file', '_node', '_npm'],
    configs: ['observablehq.config'],
    named: /\boutput\s*:\s*['"`](?:\.\/)?([\w./-]+)['"`]/,
  },
  {
    package: '@evidence-dev/evidence',
    name: 'Evidence',
    build: 'evidence build',
    output: 'build',
    hashed: ['_app/immutable'],
  },
  {
    package: '@sveltejs/adapter-static',
    name: 'SvelteKit',
    build: 'vite build',
    output: 'build',
    hashed: ['_app/immutable'],
    readConfig: svelteConfig,
    pushState: /\bfallback\s*:\s*['"`]index\.html['"`]/,
    named: /\bpages\s*:\s*['"`](?:\.\/)?([\w./-]+)['"`]/,
  },
  { package: 'gatsby', name: 'Gatsby', build: 'gatsby build', output: 'public', hashed: ['static'] },
  { package: '@11ty/eleventy', name: 'Eleventy', build: 'eleventy', output: '_site' },
  { package: 'hexo', name: 'Hexo', build: 'hexo generate', output: 'public' },
  {
    package: 'astro',
    name: 'Astro',
    build: 'astro build',
    output: 'dist',
    hashed: ['_astro'],
    configs: ['astro.config'],
    named: outDir,
  },
  {
    package: 'react-scripts',
    name: 'Create React App',
    build: 'react-scripts build',
    output: 'build',
    hashed: ['static'],
  },
  { package: '@angular/cli', name: 'Angular', build: 'ng build', output: 'dist' },
  {
    package: '@vue/cli-service',
    name: 'Vue CLI',
    build: 'vue-cli-service build',
    output: 'dist',
    configs: ['vue.config'],
    named: outputDir,
  },
  { package: '@quasar/app-vite', name: 'Quasar', build: 'quasar build', output: 'dist/spa', hashed: ['assets'] },
  {
    package: 'ember-cli',
    name: 'Ember',
    build: 'ember build --environment=production',
    output: 'dist',
    hashed: ['assets'],
  },
  { package: '@stencil/core', name: 'Stencil', build: 'stencil build', output: 'www' },
  {
    package: '@rsbuild/core',
    name: 'Rsbuild',
    build: 'rsbuild build',
    output: 'dist',
    hashed: ['static'],
    configs: ['rsbuild.config'],
    named: /\broot\s*:\s*['"`](?:\.\/)?([\w./-]+)['"`]/,
  },
  {
    package: 'vite',
    name: 'Vite',
    build: 'vite build',
    output: 'dist',
    hashed: ['assets'],
    configs: ['vite.config'],
    named: outDir,
  },
  {
    package: '@farmfe/cli',
    name: 'Farm',
    build: 'farm build',
    output: 'dist',
    configs: ['farm.config'],
    named: /\boutput\s*:\s*\{[^}]*?\bpath\s*:\s*['"`](?:\.\/)?([\w./-]+)['"`]/,
  },
  { package: 'parcel', name: 'Parcel', build: 'parcel build', output: 'dist' },
  { package: 'parcel-bundler', name: 'Parcel', build: 'parcel build', output: 'dist' },
  { package: 'gridsome', name: 'Gridsome', build: 'gridsome build', output: 'dist', hashed: ['assets'] },
  { package: '@umijs/max', name: 'Umi', build: 'max build', output: 'dist', pushState: /^/ },
  { package: 'umi', name: 'Umi', build: 'umi build', output: 'dist', pushState: /^/ },
  { package: 'brunch', name: 'Brunch', build: 'brunch build --production', output: 'public' },
  { package: 'honkit', name: 'HonKit', build: 'honkit build', output: '_book' },
  { package: 'preact-cli', name: 'Preact CLI', build: 'preact build', output: 'build' },
  {
    package: 'expo',
    name: 'Expo',
    build: 'expo export --platform web',
    output: 'dist',
    hashed: ['_expo/static', 'assets'],
    configs: ['app.json', 'app.config'],
    // `single` is the default.
    pushState: /^(?!.*\boutput["']?\s*:\s*["'](?:static|server)["'])/s,
    needsServer: [
      /\boutput["']?\s*:\s*["']server["']/,
      'write "static" as its "web.output" for pages alone, or add a server that uses expo-server and a script "start" that runs it',
    ],
  },
  { package: '@slidev/cli', name: 'Slidev', build: 'slidev build', output: 'dist', hashed: ['assets'] },
  {
    package: '@rspack/cli',
    name: 'Rspack',
    build: 'rspack build',
    output: 'dist',
    configs: ['rspack.config'],
    named: webpackPath,
    ofServers: true,
  },
  // The plugin generates the page. Without it webpack may bundle a server.
  {
    package: 'html-webpack-plugin',
    name: 'webpack',
    build: 'webpack --mode production',
    output: 'dist',
    configs: ['webpack.config'],
    named: webpackPath,
    ofServers: true,
  },
]

/** Options with which the command line of any tool names the output directory. */
export const outputOption =
  /\s--(?:outDir|outdir|out-dir|output-dir|dist-dir|output-path|output|dest)[ =](?:\.\/)?([\w./-]+)/
