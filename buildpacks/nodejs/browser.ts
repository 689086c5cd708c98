import { join } from 'node:path'
import { DebianArchive } from '../debian/archive.ts'
import { provideLibraries } from '../debian/shared-libraries.ts'
import { type BuildContext, byDefault, type EnvChanges, withTempDir } from '../sdk/index.ts'
import type { Project } from './project.ts'

/** The browser of an application that drives one. */
export interface Browser {
  /** Debian packages for the image. */
  readonly packages: readonly string[]
  /** For people: what of it is put into the image. */
  readonly title: string
  /** Variables of the build, where the user does not set them. */
  readonly env: Readonly<Record<string, string>>
  /** Variables of the image, by the directory of the packages. */
  readonly launch?: (dir: string) => EnvChanges
  /** What its packages depend on, and what runs without a screen does not use. */
  readonly without?: readonly string[]
  /** Where the browser is after the build, if a build script has brought it. */
  readonly broughtTo?: string
}

const fonts = 'fonts-liberation'
/** What Chromium is linked with or loads, for one that a package downloads. */
const libraries = [
  ...['libasound2t64', 'libatk-bridge2.0-0t64', 'libatk1.0-0t64', 'libatspi2.0-0t64', 'libcairo2', 'libcups2t64'],
  ...['libdbus-1-3', 'libdrm2', 'libgbm1', 'libglib2.0-0t64', 'libnspr4', 'libnss3', 'libpango-1.0-0', 'libudev1'],
  ...['libx11-6', 'libxcb1', 'libxcomposite1', 'libxdamage1', 'libxext6', 'libxfixes3', 'libxkbcommon0', 'libxrandr2'],
]
/** Drivers of graphics cards, with a compiler for their programs, and what the scripts of desktops call: Chromium draws by itself. */
const without = ['mesa-libgallium', 'libllvm19', 'libz3-4', 'x11-utils', 'xdg-utils']
/** pptr.dev, "Configuration": one of these may say where the browser is. */
const puppeteerFiles = ['cjs', 'js', 'json', 'yaml', 'yml'].map(end => `.puppeteerrc.${end}`)
const settings = ['PUPPETEER_EXECUTABLE_PATH', 'PUPPETEER_CACHE_DIR', 'PUPPETEER_SKIP_DOWNLOAD']

/**
 * What an application with Puppeteer or Playwright in `dependencies` needs. Puppeteer would download its browser into the home
 * directory of the build, which is in no image: it gets Debian's Chromium. Playwright knows its own builds alone, so they go into
 * node_modules (playwright.dev, "Hermetic install"), and their libraries are Debian's.
 */
export async function findBrowser({ env }: BuildContext, { app, json }: Project): Promise<Browser | undefined> {
  const names = Object.keys(json.dependencies.dependencies)
  if (names.includes('puppeteer')) {
    const file = await app.firstOf([...puppeteerFiles, '.puppeteerrc', 'puppeteer.config.js', 'puppeteer.config.cjs'])
    const own = settings.find(name => env[name] !== undefined) ?? file
    if (own !== undefined) {
      return { packages: [...libraries, fonts], title: `libraries for the browser that ${own} chooses`, env: {} }
    }
    // The second is for Puppeteer before 20.
    const skip = { PUPPETEER_SKIP_DOWNLOAD: 'true', PUPPETEER_SKIP_CHROMIUM_DOWNLOAD: 'true' }
    return {
      packages: ['chromium-headless-shell', fonts],
      title: "Debian's Chromium for Puppeteer",
      env: skip,
      // What is in usr/bin is a script that looks for the program below /usr.
      launch: dir => ({ PUPPETEER_EXECUTABLE_PATH: byDefault(join(dir, 'usr/lib/chromium/chromium-headless-shell')) }),
      without,
    }
  }
  const playwright = ['playwright', 'playwright-chromium', '@playwright/browser-chromium'].find(n => names.includes(n))
  if (playwright === undefined) return undefined
  return {
    packages: [...libraries, fonts],
    title: 'libraries for the browsers of Playwright',
    env: { PLAYWRIGHT_BROWSERS_PATH: '0' },
    ...(env['PLAYWRIGHT_BROWSERS_PATH'] === undefined && { broughtTo: 'node_modules/playwright-core/.local-browsers' }),
    launch: () => ({ PLAYWRIGHT_BROWSERS_PATH: byDefault('0') }),
  }
}

/** Says what would be missing where the image runs: nothing but a build script brings Playwright's browser. */
export async function checkBrowser({ log }: BuildContext, { app, root }: Project, browser: Browser): Promise<void> {
  const { broughtTo } = browser
  if (broughtTo === undefined || (await app.hasDirectory(broughtTo)) || (await root.hasDirectory(broughtTo))) return
  log.warning(
    `there is no browser of Playwright's in ${broughtTo}, and launch() fails without one`,
    'Add a script "build": "playwright install --only-shell chromium" to package.json; where its download is not reachable, name chromium-headless-shell in an Aptfile, and its program in launch({ executablePath }).',
  )
}

/** Puts the browser, or what it needs, into a layer of the image. */
export async function provideBrowser(context: BuildContext, browser: Browser): Promise<void> {
  await withTempDir(async temp => {
    const archive = await DebianArchive.open(context, temp)
    const { packages, title, launch, without } = browser
    await provideLibraries(context, archive, packages, {
      title,
      ...(launch && { env: launch }),
      ...(without && { without }),
    })
  })
}
