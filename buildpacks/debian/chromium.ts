import { join } from 'node:path'
import { type BuildContext, firstSetting } from '../sdk/index.ts'

const fonts = 'fonts-liberation'

/** Debian packages of what Chromium is linked with or loads, for one that an application brings, and fonts. */
export const chromiumLibraries = [
  ...['libasound2t64', 'libatk-bridge2.0-0t64', 'libatk1.0-0t64', 'libatspi2.0-0t64', 'libcairo2', 'libcups2t64'],
  ...['libdbus-1-3', 'libdrm2', 'libgbm1', 'libglib2.0-0t64', 'libnspr4', 'libnss3', 'libpango-1.0-0', 'libudev1'],
  ...['libx11-6', 'libxcb1', 'libxcomposite1', 'libxdamage1', 'libxext6', 'libxfixes3', 'libxkbcommon0', 'libxrandr2'],
  fonts,
]

/** Debian's Chromium for what has no screen. */
export const chromium = {
  packages: ['chromium-headless-shell', fonts],
  /** Drivers of graphics cards, with a compiler for their programs, and what the scripts of desktops call: Chromium draws by itself. */
  without: ['mesa-libgallium', 'libllvm19', 'libz3-4', 'x11-utils', 'xdg-utils'],
}

const program = 'usr/lib/chromium/chromium-headless-shell'

/** The program in a layer of packages. What is in usr/bin is a script that looks for it below /usr. */
export const chromiumProgram = (dir: string): string => join(dir, program)

/** The folder of a layer that Playwright finds Debian's Chromium in, as PLAYWRIGHT_BROWSERS_PATH names it. */
export const playwrightBrowsers = (dir: string): string => join(dir, 'playwright')

/**
 * Names of the folders in which a version of Playwright looks for its Chromium: `chromium-1255`.
 * @param text its browsers.json, which has the revision that each browser was tested with
 */
export function playwrightFolders(text: string): string[] {
  const found = text.matchAll(/"name":\s*"(chromium(?:-headless-shell)?)",\s*"revision":\s*"(\d+)"/g)
  return Array.from(found, ([, name = '', revision = '']) => `${name.replaceAll('-', '_')}-${revision}`)
}

/** Where in such a folder the program is, in the versions of Playwright up to now: the middle folder and the name changed. */
const places = {
  chromium: ['chrome-linux/chrome', 'chrome-linux64/chrome', 'chrome-linux-arm64/chrome'],
  chromium_headless_shell: [
    'chrome-linux/headless_shell',
    'chrome-headless-shell-linux64/chrome-headless-shell',
    'chrome-headless-shell-linux-arm64/chrome-headless-shell',
  ],
}

/** Links in a layer of packages, by their paths, that have Playwright find Debian's Chromium in place of its own. */
export function playwrightLinks(folders: readonly string[]): Record<string, string> {
  const links = folders.flatMap(folder => {
    const name = folder.replace(/-\d+$/, '')
    const paths = name === 'chromium' || name === 'chromium_headless_shell' ? places[name] : []
    return paths.map(path => [join(playwrightBrowsers(''), folder, path), program] as const)
  })
  return Object.fromEntries(links)
}

/** Whether the application names a Chromium among its own Debian packages, which its code then starts by a path. */
export async function namesChromium({ app, env }: Pick<BuildContext, 'app' | 'env'>): Promise<boolean> {
  const files = await Promise.all(['Aptfile', 'project.toml'].map(name => app.read(name)))
  const setting = firstSetting(env, 'BP_APT_PACKAGES', 'RAILPACK_DEPLOY_APT_PACKAGES')?.value
  return [...files, setting].some(text => /\bchromium\b/.test(text ?? ''))
}
