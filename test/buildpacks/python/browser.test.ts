import { expect, it } from 'vitest'
import { browserFolders, findBrowser } from '../../../buildpacks/python/browser.ts'
import { App, type BuildContext } from '../../../buildpacks/sdk/index.ts'
import type { Tree } from '../../../buildpacks/sdk/testing.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { writeTree } from '../../helpers/tree.ts'

const driver = { playwright: ['chromium-1255', 'chromium_headless_shell-1255'] }
const chromium = expect.arrayContaining(['chromium-headless-shell', 'fonts-liberation']) as string[]

/** The browser of an application with these packages, and what is warned of. */
async function browserOf(tree: Tree, packages: readonly string[], env: Record<string, string> = {}) {
  const dir = await temporaryDirectory()
  await writeTree(dir, tree)
  const warnings: string[] = []
  const log = { info: () => undefined, warning: (text: string) => void warnings.push(text) }
  const context = { app: new App(dir), env, log } as unknown as BuildContext
  const browsers = packages.some(name => /playwright|crawl4ai/.test(name)) ? driver.playwright : []
  return { browser: await findBrowser(context, { installed: new Set(packages), browsers }), warnings }
}

const launching = 'from playwright.sync_api import sync_playwright\nbrowser = p.chromium.launch(headless=True)\n'
const connecting = 'from playwright.sync_api import sync_playwright\nbrowser = p.chromium.connect_over_cdp(url)\n'

it('is Debian’s Chromium, where Playwright looks for its own', async () => {
  const { browser } = await browserOf({ 'app.py': launching }, ['playwright'])
  expect(browser?.packages).toEqual(chromium)
  expect(browser?.env?.('/l')).toMatchObject({ PLAYWRIGHT_BROWSERS_PATH: { value: '/l/playwright' } })
  const program = 'usr/lib/chromium/chromium-headless-shell'
  expect(browser?.links).toMatchObject({
    'playwright/chromium-1255/chrome-linux64/chrome': program,
    'playwright/chromium_headless_shell-1255/chrome-linux/headless_shell': program,
  })
  expect((await browserOf({ 'app.py': 'import crawl4ai' }, ['playwright', 'crawl4ai'])).browser).toBeDefined()
})

it('is found by Selenium with its driver', async () => {
  const { browser } = await browserOf({ 'app.py': 'd = webdriver.Chrome(options=o)' }, ['selenium'])
  expect(browser).toMatchObject({ packages: chromium, alone: ['chromium-driver'] })
  expect(browser?.env?.('/l')).toMatchObject({
    SE_BROWSER_PATH: { value: '/l/usr/lib/chromium/chromium-headless-shell' },
    SE_OFFLINE: { value: 'true' },
  })
})

it.each<[string, Tree, string[], Record<string, string>]>([
  ['that runs elsewhere', { 'app.py': connecting }, ['playwright'], {}],
  ['of tests', { 'app.py': '', 'tests/test_app.py': launching }, ['playwright'], {}],
  ['of a Grid', { 'app.py': 'd = webdriver.Remote(url)' }, ['selenium'], {}],
  ['that the code names', { 'app.py': launching.replace('headless', 'executable_path') }, ['playwright'], {}],
  ['of an Aptfile', { 'app.py': launching, Aptfile: 'chromium\n' }, ['playwright'], {}],
  ['of a folder', { 'app.py': launching }, ['playwright'], { PLAYWRIGHT_BROWSERS_PATH: '/opt' }],
  ['in a comment', { 'app.py': `import playwright\n# p.chromium.launch()` }, ['playwright'], {}],
])('is none for one %s', async (_what, tree, packages, env) => {
  expect(await browserOf(tree, packages, env)).toEqual({ browser: undefined, warnings: [] })
})

it('is none for Firefox, which is warned of', async () => {
  const { browser, warnings } = await browserOf({ 'app.py': launching.replace('chromium', 'firefox') }, ['playwright'])
  expect(browser).toBeUndefined()
  expect(warnings).toEqual([
    "app.py starts a browser that the image does not have: of Playwright's browsers, Debian only has Chromium",
  ])
})

it('is known by the driver’s list', async () => {
  const dir = await temporaryDirectory()
  const browsers = [
    { name: 'chromium', revision: '1255' },
    { name: 'chromium-headless-shell', revision: '1255' },
    { name: 'chromium-tip-of-tree', revision: '1400' },
  ]
  await writeTree(dir, { 'playwright/driver/package/browsers.json': JSON.stringify({ browsers }, undefined, 2) })
  expect(await browserFolders(dir)).toEqual(driver.playwright)
  expect(await browserFolders('/nonexistent')).toEqual([])
})
