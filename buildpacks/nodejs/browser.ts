import { readFile, realpath } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { DebianArchive } from '../debian/archive.ts'
import {
  chromium,
  chromiumLibraries,
  chromiumProgram,
  namesChromium,
  playwrightBrowsers,
  playwrightFolders,
  playwrightLinks,
} from '../debian/chromium.ts'
import { provideLibraries } from '../debian/shared-libraries.ts'
import { App, type BuildContext, byDefault, type EnvChanges, withTempDir } from '../sdk/index.ts'
import type { Project } from './project.ts'

/** The browser of an application that controls one. */
export interface Browser {
  /** Debian packages for the image. */
  readonly packages: readonly string[]
  /** The layer's contents, for users. */
  readonly title: string
  /** Variables of the build, unless the user sets them. */
  readonly env: Readonly<Record<string, string>>
  /** Variables of the image, from the directory of the packages. */
  readonly launch?: (dir: string) => EnvChanges
  /** Dependencies of its packages that a browser without a screen does not use. */
  readonly without?: readonly string[]
  /** Links in the directory of the packages. */
  readonly links?: Readonly<Record<string, string>>
  /** The Playwright package whose browser a build script may install. */
  readonly playwright?: string
}

/** One of these files may name the browser's place (pptr.dev, "Configuration"). */
const puppeteerFiles = ['cjs', 'js', 'json', 'yaml', 'yml'].map(end => `.puppeteerrc.${end}`)
const settings = ['PUPPETEER_EXECUTABLE_PATH', 'PUPPETEER_CACHE_DIR', 'PUPPETEER_SKIP_DOWNLOAD']

/**
 * The browser that an application with Puppeteer or Playwright in `dependencies` needs. Puppeteer would download its browser into the
 * build's home directory, which is not in the image, so it gets Debian's Chromium. Playwright's own builds go into node_modules
 * (playwright.dev, "Hermetic install") if a build script installs one; their libraries come from Debian.
 */
export async function findBrowser({ env }: BuildContext, { app, json }: Project): Promise<Browser | undefined> {
  const names = Object.keys(json.dependencies.dependencies)
  if (names.includes('puppeteer')) {
    const file = await app.firstOf([...puppeteerFiles, '.puppeteerrc', 'puppeteer.config.js', 'puppeteer.config.cjs'])
    const own = settings.find(name => env[name] !== undefined) ?? file
    if (own !== undefined) {
      return { packages: chromiumLibraries, title: `libraries for the browser that ${own} chooses`, env: {} }
    }
    // The second variable is for Puppeteer before 20.
    const skip = { PUPPETEER_SKIP_DOWNLOAD: 'true', PUPPETEER_SKIP_CHROMIUM_DOWNLOAD: 'true' }
    return {
      packages: chromium.packages,
      title: "Debian's Chromium for Puppeteer",
      env: skip,
      launch: dir => ({ PUPPETEER_EXECUTABLE_PATH: byDefault(chromiumProgram(dir)) }),
      without: chromium.without,
    }
  }
  const playwright = ['playwright', 'playwright-chromium', '@playwright/browser-chromium'].find(n => names.includes(n))
  if (playwright === undefined) return undefined
  return {
    packages: chromiumLibraries,
    title: 'libraries for the browsers of Playwright',
    env: { PLAYWRIGHT_BROWSERS_PATH: '0' },
    ...(env['PLAYWRIGHT_BROWSERS_PATH'] === undefined && { playwright }),
    launch: () => ({ PLAYWRIGHT_BROWSERS_PATH: byDefault('0') }),
  }
}

/**
 * The browser after the build scripts have run. It is Debian's Chromium if none of them has installed Playwright's, since Playwright
 * finds a browser only by its folder.
 */
export async function orDebianChromium(context: BuildContext, project: Project, browser: Browser): Promise<Browser> {
  const { playwright } = browser
  if (playwright === undefined || (await namesChromium(context))) return browser
  const core = await playwrightCore(project, playwright)
  if (core !== undefined && (await new App(core).hasDirectory('.local-browsers'))) return browser
  const folders =
    core === undefined ? [] : playwrightFolders(await readFile(join(core, 'browsers.json'), 'utf8').catch(() => ''))
  if (folders.length === 0) {
    context.log.warning(
      'node_modules has no browser of Playwright, and launch() fails without one',
      'Add a script "build": "playwright install --only-shell chromium" to package.json.',
    )
    return browser
  }
  return {
    ...chromium,
    title: "Debian's Chromium for Playwright",
    env: browser.env,
    launch: dir => ({ PLAYWRIGHT_BROWSERS_PATH: byDefault(playwrightBrowsers(dir)) }),
    links: playwrightLinks(folders),
  }
}

/** The directory of the package with the list of browsers; undefined if node_modules does not have it. */
async function playwrightCore({ app, root }: Project, name: string): Promise<string | undefined> {
  for (const { path } of [app, root]) {
    // pnpm puts a package's dependencies only beside it, and links to the package.
    const dir = await realpath(join(path, 'node_modules', name)).catch(() => undefined)
    if (dir === undefined) continue
    try {
      return dirname(createRequire(join(dir, 'package.json')).resolve('playwright-core/package.json'))
    } catch {
      continue
    }
  }
  return undefined
}

/** Puts the browser, or what it needs, into a layer of the image. */
export async function provideBrowser(context: BuildContext, browser: Browser): Promise<void> {
  await withTempDir(async temp => {
    const archive = await DebianArchive.open(context, temp)
    const { packages, title, launch, without, links } = browser
    await provideLibraries(context, archive, packages, {
      title,
      ...(launch && { env: launch }),
      ...(without && { without }),
      ...(links && { links }),
    })
  })
}
