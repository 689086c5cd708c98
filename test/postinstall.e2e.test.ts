import { execFileSync } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { bale } from './helpers/bale.ts'
import { skip } from './helpers/skip.ts'
import { landlockVersion } from './helpers/supervisor.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { writeTree } from './helpers/tree.ts'

/** Prints what the attack came to, and what Node the image has. */
const main = `const { createHash } = require('node:crypto')
const fs = require('node:fs')
const node = fs.readFileSync(process.execPath)
const mode = (fs.statSync(process.execPath).mode & 0o777).toString(8)
console.log('node ' + createHash('sha256').update(node).digest('hex') + ' ' + mode)
console.log(fs.existsSync('attacked') ? fs.readFileSync('attacked', 'utf8') : 'never attacked')
`

/** An application whose dependency, a directory of it, has this postinstall script; real npm makes its lock file. */
async function application(postinstall: string) {
  const dir = await temporaryDirectory()
  const src = join(dir, 'src')
  const own = { name: 'victim', version: '1.0.0', private: true, scripts: { start: 'node main.js' } }
  const victim = (dependencies: object): string => JSON.stringify({ ...own, dependencies })
  const lock = (): void => {
    const args = ['install', '--package-lock-only', '--ignore-scripts', '--offline', '--no-audit', '--no-fund']
    execFileSync('npm', args, { cwd: src, stdio: 'ignore' })
  }
  await writeTree(src, {
    'main.js': main,
    'package.json': victim({ evil: 'file:./evil' }),
    'evil/package.json': JSON.stringify({
      name: 'evil',
      version: '1.0.0',
      scripts: { postinstall: 'node attack.js' },
    }),
    'evil/attack.js': postinstall,
  })
  lock()
  const image = 'bale-test-postinstall'
  const env = { XDG_CACHE_HOME: join(dir, 'cache') }
  return {
    build: () => bale(['build', image, '--path', src], { env }),
    async run() {
      const { stdout, output } = await bale(['run', image], { env })
      const [, digest, mode] = /^node ([0-9a-f]{64}) (\d+)$/m.exec(stdout) ?? []
      expect(digest, output).toBeDefined()
      return { digest, mode, stdout }
    },
    /** A user who learns of the attack removes the dependency. */
    async removeDependency() {
      await rm(join(src, 'evil'), { recursive: true })
      await rm(join(src, 'package-lock.json'))
      await writeFile(join(src, 'package.json'), victim({}))
      lock()
    },
  }
}

describe('X40 the postinstall script of a dependency, run by npm', () => {
  it('replaces no program in the layer of Node, by whatever way; the next build has the same Node', async ctx => {
    if (landlockVersion() < 3) return skip(ctx, 'Linux 6.2 with Landlock is needed')
    const attack = `const fs = require('node:fs'), path = require('node:path')
const node = fs.realpathSync(process.execPath), bin = path.dirname(node), layer = path.dirname(bin)
fs.writeFileSync('backdoor', '#!/bin/sh\\necho BACKDOOR\\n', { mode: 0o755 })
const ways = {
  write: () => fs.writeFileSync(node, 'x'),
  append: () => fs.appendFileSync(node, 'x'),
  truncate: () => fs.truncateSync(node, 0),
  rename: () => fs.renameSync('backdoor', node),
  copy: () => fs.copyFileSync('backdoor', node),
  unlink: () => fs.unlinkSync(node),
  link: () => fs.linkSync('backdoor', node + '-2'),
  symlink: () => fs.symlinkSync('/bin/true', path.join(bin, 'first-on-the-path')),
  npm: () => fs.writeFileSync(path.join(bin, 'npm'), '#!/bin/sh\\n'),
  directory: () => fs.renameSync(bin, bin + '-old'),
  layer: () => fs.renameSync(layer, layer + '-old'),
  'layer.toml': () => fs.writeFileSync(layer + '.toml', ''),
  'env.launch': () => (fs.mkdirSync(path.join(layer, 'env.launch')), fs.writeFileSync(path.join(layer, 'env.launch/NODE_OPTIONS'), '-r x')),
  descriptor: () => fs.writeSync(fs.openSync('/proc/self/exe', 'r+'), 'x'),
}
const said = Object.entries(ways).map(([name, way]) => {
  try { way(); return 'done: ' + name } catch (error) { return 'refused: ' + name + ' ' + error.code }
})
fs.writeFileSync(path.join(process.env.INIT_CWD, 'attacked'), said.join('\\n') + '\\nall tried\\n')`
    const app = await application(attack)
    const first = await app.build()
    expect(first.code, first.output).toBe(0)
    const attacked = await app.run()
    expect(attacked.stdout).toContain('all tried\n')
    expect(attacked.stdout).not.toContain('done:')
    await app.removeDependency()
    const second = await app.build()
    expect(second.code, second.output).toBe(0)
    expect(second.output).toMatch(/Using Node \S+ from the cache/)
    const clean = await app.run()
    expect(clean.stdout).toContain('never attacked')
    expect(clean).toMatchObject({ digest: attacked.digest, mode: attacked.mode })
  })

  it('is found when it changes what Landlock does not hold, such as a mode: no later build uses the layer', async () => {
    const attack = `const fs = require('node:fs'), path = require('node:path')
fs.chmodSync(process.execPath, 0o777)
fs.writeFileSync(path.join(process.env.INIT_CWD, 'attacked'), 'its mode is another\\n')`
    const app = await application(attack)
    const first = await app.build()
    expect(first.code, first.output).toBe(0)
    expect(first.output).toMatch(
      /layer \S+ was changed after it was finished, at .*bin.node, so later builds will not use it/,
    )
    expect(await app.run()).toMatchObject({ mode: '777', stdout: expect.stringContaining('another') as string })
    await app.removeDependency()
    const second = await app.build()
    expect(second.code, second.output).toBe(0)
    expect(await app.run()).toMatchObject({ mode: '755' })
  })
})
