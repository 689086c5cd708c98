import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  chromium,
  chromiumProgram,
  namesChromium,
  playwrightBrowsers,
  playwrightFolders,
  playwrightLinks,
} from '../debian/chromium.ts'
import type { LibrariesOptions } from '../debian/shared-libraries.ts'
import { type BuildContext, byDefault, type EnvChanges, programFiles } from '../sdk/index.ts'
import type { Venv } from './installed.ts'

/** The Debian packages of the browser that an application starts, and how the application finds it. */
export interface Browser extends Pick<LibrariesOptions, 'alone' | 'env' | 'links' | 'without'> {
  readonly packages: readonly string[]
}

/** Playwright, and its fork that sites do not detect. Each contains its driver with the list of browsers. */
const playwrights = ['playwright', 'patchright']
/** Packages that start Playwright's Chromium although the application's code does not mention it. */
const launchers = ['crawl4ai', 'scrapy-playwright']
const launch = /\.launch(?:_persistent_context)?\(/
const otherBrowser = /\b(firefox|webkit)\.launch(?:_persistent_context)?\(/

/** Folders in which the Playwright of a virtual environment looks for its Chromium. */
export async function browserFolders(sitePackages: string): Promise<string[]> {
  const read = (name: string) => readFile(join(sitePackages, name, 'driver/package/browsers.json'), 'utf8')
  const texts = await Promise.all(playwrights.map(name => read(name).catch(() => '')))
  return [...new Set(texts.flatMap(playwrightFolders))]
}

/**
 * Debian's Chromium for an application whose own code starts one with Playwright or Selenium, since no wheel contains one. Tests, and
 * code that connects to a browser elsewhere, need none in the image.
 */
export async function findBrowser(
  context: BuildContext,
  { installed, browsers }: Pick<Venv, 'installed' | 'browsers'>,
): Promise<Browser | undefined> {
  const { env, log } = context
  const playwright = browsers.length > 0 && env['PLAYWRIGHT_BROWSERS_PATH'] === undefined
  const selenium = installed.has('selenium') && env['SE_CHROMEDRIVER'] === undefined
  if ((!playwright && !selenium) || (await namesChromium(context))) return undefined
  const sources = await startedBrowsers(context)
  const launches = playwright && (sources.playwright || launchers.some(name => installed.has(name)))
  const drives = selenium && sources.selenium
  if (playwright && sources.other !== undefined) {
    log.warning(
      `${sources.other} starts a browser that the image does not have: of Playwright's browsers, Debian only has Chromium`,
      'Launch chromium instead, or connect to a browser that runs elsewhere.',
    )
  }
  if (!launches && !drives) return undefined
  log.info(`Debian's Chromium, for ${launches ? 'Playwright' : 'Selenium'}`)
  const variables = (dir: string): EnvChanges => ({
    ...(launches && { PLAYWRIGHT_BROWSERS_PATH: byDefault(playwrightBrowsers(dir)) }),
    // Selenium's manager takes the driver from PATH. Without these variables it would request a newer one.
    ...(drives && { SE_BROWSER_PATH: byDefault(chromiumProgram(dir)), SE_OFFLINE: byDefault('true') }),
  })
  return {
    ...chromium,
    // It depends on the browser with windows.
    ...(drives && { alone: ['chromium-driver'] }),
    env: variables,
    ...(launches && { links: playwrightLinks(browsers) }),
  }
}

/** The browsers that the application's code starts, except browsers whose program it names. */
async function startedBrowsers({ app }: BuildContext) {
  const found: { playwright: boolean; selenium: boolean; other?: string } = { playwright: false, selenium: false }
  for (const file of await programFiles(app, '.py')) {
    const source = ((await app.read(file)) ?? '').replaceAll(/^\s*#.*$/gm, '')
    const isPlaywright = /\b(?:playwright|patchright)\b/.test(source) && !/\bexecutable_path\s*=/.test(source)
    const launched = source.replaceAll(new RegExp(otherBrowser, 'g'), '')
    if (isPlaywright && launch.test(launched)) found.playwright = true
    else if (isPlaywright && otherBrowser.test(source)) found.other ??= file
    if (/\bwebdriver\.Chrome\(/.test(source)) found.selenium = true
  }
  return found
}
