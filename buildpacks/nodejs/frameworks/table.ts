import type { WebFramework } from '../../sdk/index.ts'

/** A file that a build may write, and the command that starts it. */
export interface Candidate {
  /** Relative to the application; `*` stands for the name of a directory. */
  readonly file: string
  /** A shell command in which `FILE` stands for the file; the default is `node FILE`. */
  readonly command?: string
  /** The directory of a self-contained server, which includes a copy of the packages that it uses: the image needs no other packages. */
  readonly complete?: string
  /** A program that the command calls and the application does not include. */
  readonly host?: typeof srvx
}

/** The buildpack's knowledge of a framework's applications. */
export interface FrameworkFacts {
  /** The command that builds if package.json has no script for it, and its package. */
  readonly build: string
  readonly builder: string
  /** Files that the build may write, the preferred one first. */
  readonly candidates: readonly Candidate[]
  /** Variables of the build, unless they are set. */
  readonly env?: Readonly<Record<string, string>>
  /** Start scripts that a self-contained server replaces: the scripts need all packages for the same result. */
  readonly replaces?: RegExp
  /** Directories that only the build needs, beside a self-contained server. */
  readonly intermediate?: readonly string[]
  /** What to do if the build has written no server. */
  readonly fix: string
}

/** Starts a module that has only a function `fetch`, from a request to a response. */
export const srvx = {
  name: 'srvx',
  version: '1.0.8',
  program: 'bin/srvx.mjs',
  hash: 'sha512.9e0152fc9e92b783c97c74471a3afbf3190f3ed6f25ed74c38b344e31fd766e9c42b73a157b6865163077fd593504cbac26d54d16e2892477cd991455915504f',
} as const

const nitro: readonly Candidate[] = [{ file: '.output/server/index.mjs', complete: '.output' }]
const presets = 'let Nitro build for Node.js: remove "preset" from its configuration, or set NITRO_PRESET=node-server'
/** For servers that by default listen only on localhost. */
const everywhere = (command: string) => `HOST="\${HOST:-0.0.0.0}" ${command}`

export const frameworks: Readonly<Record<WebFramework, FrameworkFacts>> = {
  Next: {
    build: 'next build',
    builder: 'next',
    candidates: [
      // In a container HOSTNAME is the container's name, and Next would listen only on that address.
      ...['', '*/', '*/*/'].map(dir => ({
        file: `.next/standalone/${dir}server.js`,
        command: 'HOSTNAME=0.0.0.0 node FILE',
        complete: '.next/standalone',
      })),
      { file: '.next/BUILD_ID', command: 'next start' },
    ],
    env: { NEXT_TELEMETRY_DISABLED: '1' },
    replaces: /^(npx\s+)?next\s+start(\s+(-p|-H|--port|--hostname)[ =]\S+)*$/,
    fix: 'remove "distDir" from next.config, or add a script "start" to package.json',
  },
  Nuxt: {
    build: 'nuxt build',
    builder: 'nuxt',
    candidates: nitro,
    env: { NUXT_TELEMETRY_DISABLED: '1' },
    intermediate: ['.nuxt'],
    fix: presets,
  },
  SvelteKit: {
    build: 'vite build',
    builder: '@sveltejs/kit',
    candidates: [{ file: 'build/index.js' }],
    // adapter-auto selects adapter-node if this variable is set, as in Google's builders.
    env: { GCP_BUILDPACKS: 'true' },
    fix: 'use @sveltejs/adapter-node in svelte.config.js or vite.config.ts',
  },
  'TanStack Start': {
    build: 'vite build',
    builder: 'vite',
    candidates: [
      ...nitro,
      // Without Nitro's plugin, the build writes a function and static files beside it.
      {
        file: 'dist/server/server.js',
        command: 'srvx serve --prod --entry FILE --static ../client',
        host: srvx,
      },
    ],
    fix: 'add the plugin of nitro to vite.config, which makes a server for Node.js',
  },
  'React Router': {
    build: 'react-router build',
    builder: '@react-router/dev',
    candidates: ['build/server/index.js', 'build/server/*/index.js'].map(file => ({
      file,
      command: 'react-router-serve ./FILE',
    })),
    fix: 'add a script "start" to package.json, and @react-router/serve to its dependencies',
  },
  Remix: {
    build: 'remix vite:build',
    builder: '@remix-run/dev',
    candidates: ['build/server/index.js', 'build/server/*/index.js', 'build/index.js'].map(file => ({
      file,
      command: 'remix-serve ./FILE',
    })),
    fix: 'add a script "start" to package.json, and @remix-run/serve to its dependencies',
  },
  Astro: {
    build: 'astro build',
    builder: 'astro',
    candidates: [{ file: 'dist/server/entry.mjs', command: everywhere('node FILE') }],
    env: { ASTRO_TELEMETRY_DISABLED: '1' },
    fix: 'use the adapter @astrojs/node with mode: "standalone" in astro.config',
  },
  'Angular SSR': {
    build: 'ng build',
    builder: '@angular/cli',
    candidates: ['dist/server/server.mjs', 'dist/*/server/server.mjs'].map(file => ({ file })),
    env: { NG_CLI_ANALYTICS: 'false' },
    fix: 'check "ssr" and "outputPath" in angular.json, or add a script "start" that runs the server',
  },
  SolidStart: {
    build: 'vinxi build',
    builder: 'vinxi',
    candidates: nitro,
    replaces: /^(npx\s+)?vinxi\s+start$/,
    fix: presets,
  },
  Analog: {
    build: 'vite build',
    builder: 'vite',
    candidates: [{ file: 'dist/analog/server/index.mjs', complete: 'dist' }],
    fix: presets,
  },
  Nitro: { build: 'nitro build', builder: 'nitro', candidates: nitro, fix: presets },
  Qwik: {
    build: 'qwik build',
    builder: '@builder.io/qwik',
    candidates: ['express', 'fastify', 'node-server'].map(server => ({ file: `server/entry.${server}.js` })),
    fix: 'run "npm run qwik add fastify" for a server, or "npm run qwik add static" for static pages, and commit the files that it writes',
  },
  NestJS: {
    build: 'nest build',
    builder: '@nestjs/cli',
    candidates: ['dist/main.js', 'dist/src/main.js', 'dist/apps/*/main.js', 'dist/apps/*/src/main.js'].map(file => ({
      file,
    })),
    fix: 'add a script "start" to package.json: "node dist/main"',
  },
  AdonisJS: {
    build: 'node ace build',
    builder: '@adonisjs/core',
    candidates: ['build/bin/server.js', 'build/server.js'].map(file => ({
      file,
      command: everywhere('node FILE'),
    })),
    fix: 'add a script "start" to package.json',
  },
}
