import type { Run } from '../sdk/index.ts'

/**
 * Failures of common packages: a pattern of the output, and the fix. Most are downloads from the packages' own servers, which a build
 * may not reach.
 */
const failures: readonly { readonly printed: RegExp; readonly fix: string }[] = [
  {
    // Gatsby 5 has such a sharp. Newer versions are completely on npm's registry.
    printed: /\bsharp: Installation error\b/,
    fix: 'sharp before 0.33 downloads libvips from GitHub: where that is not reachable, write "overrides": { "sharp": "^0.33.5" } in package.json, run "npm install" and commit package-lock.json; or name a mirror with npm_config_sharp_libvips_binary_host',
  },
  {
    printed: /binaries\.prisma\.sh/,
    fix: 'Prisma downloads its engines from binaries.prisma.sh: where that is not reachable, name a mirror of it in PRISMA_ENGINES_MIRROR; or use Prisma 7, whose client needs none, and set PRISMA_SCHEMA_ENGINE_BINARY=/usr/bin/false',
  },
  {
    printed: /\bdownload\.cypress\.io\b/,
    fix: 'Cypress downloads its program from download.cypress.io: CYPRESS_INSTALL_BINARY=0 skips it, and a URL as its value replaces it',
  },
  {
    printed:
      /\bstorage\.googleapis\.com\/(?:chrome-for-testing|chromium-browser)|\bFailed to set up (?:chrome|chromium)\b/i,
    fix: 'Puppeteer downloads its browser from storage.googleapis.com: PUPPETEER_SKIP_DOWNLOAD=true skips it; Puppeteer in "dependencies" gets Debian\'s Chromium',
  },
  {
    // It prints each download, including those that succeed.
    printed:
      /^(?=.*\b(?:cdn\.playwright\.dev|playwright\.azureedge\.net)\b).*(?:\bE(?:NOTFOUND|AI_AGAIN|CONN|TIMEDOUT|HOSTUNREACH|NETUNREACH)|[Ee]rror\b|\b[Ff]ailed\b)|\bFailed to download .*\bplaywright build\b/m,
    fix: 'Playwright downloads its browsers from cdn.playwright.dev: where that is not reachable, name a mirror in PLAYWRIGHT_DOWNLOAD_HOST; or skip the download, and Playwright in "dependencies" gets Debian\'s Chromium',
  },
  {
    // Nx reads the versions of packages only from the lock file.
    printed: /\bThe externalDependency '[^']+' for '[^']+' could not be found\b/,
    fix: 'Nx needs the lock file: run the package manager\'s "install", and commit package-lock.json, yarn.lock, pnpm-lock.yaml or bun.lock',
  },
  {
    // From git, whichever program calls it. A refused SSH key has a fix of its own (sdk/command.ts).
    printed: /\bCould not read from remote repository\b|\bcould not read Username for\b|\bAuthentication failed for '/,
    fix: 'a dependency is a git repository that the build cannot reach or read: let the build sign in with your SSH keys (--ssh default), or give the credentials for its host in a binding of type netrc (--secret id=git,type=netrc,key=.netrc,src=$HOME/.netrc), with which git uses https',
  },
  {
    // Node 17 introduced OpenSSL 3, which has no MD4. webpack names its files with it, also the webpack of Create React App 4 and Vue
    // CLI 4.
    printed: /ERR_OSSL_EVP_UNSUPPORTED|digital envelope routines::unsupported/,
    fix: 'webpack before 4.47, or 5.61, needs NODE_OPTIONS=--openssl-legacy-provider while it builds, or Node 16: write "engines": { "node": "16" } in package.json',
  },
  {
    printed: /JavaScript heap out of memory/,
    fix: 'let Node use more memory while it builds: NODE_OPTIONS=--max-old-space-size=4096, in MiB',
  },
]

/** Adds a fix to the error if a command fails for one of these reasons. */
export function explainFailures(run: Run): Run {
  return (argv, options = {}) => {
    const { fix } = options
    const explain = (stderr: string, stdout: string) =>
      (typeof fix === 'function' ? fix(stderr, stdout) : fix) ??
      failures.find(({ printed }) => printed.test(stderr) || printed.test(stdout))?.fix
    return run(argv, { ...options, fix: explain })
  }
}

/** Variables that avoid failures of common packages. */
export function toolVariables(execEnv: string): Readonly<Record<string, string>> {
  return {
    // For webpack-cli 3 and ESLint 7: it compiles ES modules that newer packages provide for `require` as if they were CommonJS.
    DISABLE_V8_COMPILE_CACHE: '1',
    // A download of 200 MB for tests, which do not run here.
    ...(execEnv === 'production' && { CYPRESS_INSTALL_BINARY: '0' }),
  }
}
