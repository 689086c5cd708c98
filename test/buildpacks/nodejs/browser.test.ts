import { describe, expect, it } from 'vitest'
import { findBrowser, orDebianChromium } from '../../../buildpacks/nodejs/browser.ts'
import { findProject } from '../../../buildpacks/nodejs/project.ts'
import { withVariables } from '../../../buildpacks/nodejs/variables.ts'
import { App, type BuildContext } from '../../../buildpacks/sdk/index.ts'
import type { Tree } from '../../../buildpacks/sdk/testing.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { writeTree } from '../../helpers/tree.ts'

const chromium = expect.arrayContaining(['chromium-headless-shell', 'fonts-liberation']) as string[]
const libraries = expect.arrayContaining(['libnss3', 'libgbm1', 'fonts-liberation']) as string[]

const browsersJson = JSON.stringify({
  browsers: [
    { name: 'chromium', revision: '1255' },
    { name: 'chromium-headless-shell', revision: '1255' },
    { name: 'firefox', revision: '1572' },
  ],
})

/** What is found for an application, and the variables of what its build runs. */
async function browserOf(dependencies: object, more: Tree = {}, env: Record<string, string> = {}) {
  const dir = await temporaryDirectory()
  await writeTree(dir, { 'package.json': JSON.stringify(dependencies), ...more })
  const ran: Readonly<Record<string, string | undefined>>[] = []
  const context = {
    app: new App(dir),
    env,
    run: (_argv: unknown, options?: { readonly env?: Readonly<Record<string, string>> }) => {
      ran.push({ ...env, ...options?.env })
      return Promise.resolve({ exitCode: 0, stdout: '', stderr: '' })
    },
  } as unknown as BuildContext
  const browser = await findBrowser(context, await findProject(context))
  await withVariables(context, browser?.env ?? {}).run(['npm', 'ci'], { env: { A: '1' } })
  return { browser, ran: ran[0] }
}

describe('the browser of an application', () => {
  it('is Debian’s Chromium for Puppeteer, which downloads none', async () => {
    const { browser, ran } = await browserOf({ dependencies: { puppeteer: '24' } })
    expect(browser?.packages).toEqual(chromium)
    expect(browser?.launch?.('/layers/x')).toMatchObject({
      PUPPETEER_EXECUTABLE_PATH: { value: '/layers/x/usr/lib/chromium/chromium-headless-shell' },
    })
    expect(ran).toEqual({ A: '1', PUPPETEER_SKIP_DOWNLOAD: 'true', PUPPETEER_SKIP_CHROMIUM_DOWNLOAD: 'true' })
  })

  it.each<[string, Tree, Record<string, string>]>([
    ['PUPPETEER_CACHE_DIR', {}, { PUPPETEER_CACHE_DIR: '/workspace/.browser' }],
    ['PUPPETEER_SKIP_DOWNLOAD', {}, { PUPPETEER_SKIP_DOWNLOAD: 'false' }],
    ['.puppeteerrc.cjs', { '.puppeteerrc.cjs': 'module.exports = {}' }, {}],
  ])('is what %s chooses, with its libraries alone', async (where, more, env) => {
    const { browser, ran } = await browserOf({ dependencies: { puppeteer: '24' } }, more, env)
    expect(browser).toMatchObject({ packages: libraries, title: `libraries for the browser that ${where} chooses` })
    expect(browser?.packages).not.toEqual(chromium)
    expect(ran).toEqual({ A: '1', ...env })
  })

  it('of Playwright is in node_modules, in the build and in the image', async () => {
    const { browser, ran } = await browserOf({ dependencies: { playwright: '1' } })
    expect(browser).toMatchObject({ packages: libraries })
    expect(browser?.launch?.('/layers/x')).toMatchObject({ PLAYWRIGHT_BROWSERS_PATH: { value: '0' } })
    expect(ran).toEqual({ A: '1', PLAYWRIGHT_BROWSERS_PATH: '0' })
    const own = await browserOf({ dependencies: { playwright: '1' } }, {}, { PLAYWRIGHT_BROWSERS_PATH: '/opt' })
    expect(own.ran).toEqual({ A: '1', PLAYWRIGHT_BROWSERS_PATH: '/opt' })
  })

  it('of Playwright that no build script has brought is Debian’s Chromium, where Playwright looks for its own', async () => {
    const core = 'node_modules/playwright-core'
    const packages = {
      'node_modules/playwright/package.json': '{}',
      [`${core}/package.json`]: '{}',
      [`${core}/browsers.json`]: browsersJson,
    }
    const found = async (more: Tree, env: Record<string, string> = {}) => {
      const dir = await temporaryDirectory()
      await writeTree(dir, { 'package.json': '{"dependencies":{"playwright":"1"}}', ...more })
      const warnings: string[] = []
      const log = { warning: (text: string) => void warnings.push(text) }
      const context = { app: new App(dir), env, log } as unknown as BuildContext
      const project = await findProject(context)
      const browser = await findBrowser(context, project)
      return { warnings, browser: browser && (await orDebianChromium(context, project, browser)) }
    }
    const { browser, warnings } = await found(packages)
    expect(browser).toMatchObject({ packages: chromium, env: { PLAYWRIGHT_BROWSERS_PATH: '0' } })
    expect(browser?.launch?.('/layers/x')).toMatchObject({
      PLAYWRIGHT_BROWSERS_PATH: { value: '/layers/x/playwright' },
    })
    expect(browser?.links).toMatchObject({
      'playwright/chromium_headless_shell-1255/chrome-headless-shell-linux64/chrome-headless-shell':
        'usr/lib/chromium/chromium-headless-shell',
    })
    expect(warnings).toEqual([])
    const brought = { ...packages, [`${core}/.local-browsers/chromium/x`]: '' }
    for (const [more, env] of [
      [brought, {}],
      [packages, { PLAYWRIGHT_BROWSERS_PATH: '/opt' }],
      [{ ...packages, Aptfile: 'chromium-headless-shell\n' }, {}],
    ] as const)
      expect(await found(more, env)).toMatchObject({ browser: { packages: libraries }, warnings: [] })
    const without = 'node_modules has no browser of Playwright, and launch() fails without one'
    expect(await found({})).toMatchObject({ browser: { packages: libraries }, warnings: [without] })
  })

  it('is nobody’s concern for tests, and for those that bring their own', async () => {
    for (const dependencies of [
      { devDependencies: { puppeteer: '24' } },
      { dependencies: { 'puppeteer-core': '24' } },
    ]) {
      expect(await browserOf(dependencies)).toEqual({ browser: undefined, ran: { A: '1' } })
    }
  })
})
