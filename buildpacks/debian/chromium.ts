import { join } from 'node:path'
import { type BuildContext, firstSetting } from '../sdk/index.ts'

const fonts = 'fonts-liberation'

/** Debian packages of the libraries that Chromium is linked with or loads, for an application with its own Chromium, and fonts. */
export const chromiumLibraries = [
  ...['libasound2t64', 'libatk-bridge2.0-0t64', 'libatk1.0-0t64', 'libatspi2.0-0t64', 'libcairo2', 'libcups2t64'],
  ...['libdbus-1-3', 'libdrm2', 'libgbm1', 'libglib2.0-0t64', 'libnspr4', 'libnss3', 'libpango-1.0-0', 'libudev1'],
  ...['libx11-6', 'libxcb1', 'libxcomposite1', 'libxdamage1', 'libxext6', 'libxfixes3', 'libxkbcommon0', 'libxrandr2'],
  fonts,
]

/** Debian's Chromium without a screen. */
export const chromium = {
  packages: ['chromium-headless-shell', fonts],
  /** Drivers of graphics cards, a compiler for their programs, and packages that desktop scripts call. Chromium renders without them. */
  without: ['mesa-libgallium', 'libllvm19', 'libz3-4', 'x11-utils', 'xdg-utils'],
}

const program = 'usr/lib/chromium/chromium-headless-shell'

/** The program in a layer of packages. The file in usr/bin is a script that looks for it below /usr. */
export const chromiumProgram = (dir: string): string => join(dir, program)

/** The folder of a layer in which Playwright finds Debian's Chromium. PLAYWRIGHT_BROWSERS_PATH names it. */
export const playwrightBrowsers = (dir: string): string => join(dir, 'playwright')

/**
 * Names of the folders in which a version of Playwright looks for its Chromium: `chromium-1255`.
 * @param text its browsers.json, which has the tested revision of each browser
 */
export function playwrightFolders(text: string): string[] {
  const found = text.matchAll(/"name":\s*"(chromium(?:-headless-shell)?)",\s*"revision":\s*"(\d+)"/g)
  return Array.from(found, ([, name = '', revision = '']) => `${name.replaceAll('-', '_')}-${revision}`)
}

/** The program's path in such a folder, in all versions of Playwright so far: the middle folder and the name changed. */
const places = {
  chromium: ['chrome-linux/chrome', 'chrome-linux64/chrome', 'chrome-linux-arm64/chrome'],
  chromium_headless_shell: [
    'chrome-linux/headless_shell',
    'chrome-headless-shell-linux64/chrome-headless-shell',
    'chrome-headless-shell-linux-arm64/chrome-headless-shell',
  ],
}

/** Links in a layer of packages, by their paths, with which Playwright finds Debian's Chromium instead of its own. */
export function playwrightLinks(folders: readonly string[]): Record<string, string> {
  const links = folders.flatMap(folder => {
    const name = folder.replace(/-\d+$/, '')
    const paths = name === 'chromium' || name === 'chromium_headless_shell' ? places[name] : []
    return paths.map(path => [join(playwrightBrowsers(''), folder, path), program] as const)
  })
  return Object.fromEntries(links)
}

/** Whether the application lists a Chromium among its own Debian packages. Its code then starts that by a path. */
export async function namesChromium({ app, env }: Pick<BuildContext, 'app' | 'env'>): Promise<boolean> {
  const files = await Promise.all(['Aptfile', 'project.toml'].map(name => app.read(name)))
  const setting = firstSetting(env, 'BP_APT_PACKAGES', 'RAILPACK_DEPLOY_APT_PACKAGES')?.value
  return [...files, setting].some(text => /\bchromium\b/.test(text ?? ''))
}
