// Goes before a program of the bundle and bears its name: starts `bale.program.cjs` from `bale.program.v8`, what V8 made of
// it when it was bundled (see scripts/bundle.mjs). Another version of Node does not take that, and compiles the source, as
// does any Node where that file is left out: npm's package is for every kind of machine.
const { existsSync, readFileSync } = require('node:fs')
const { wrap } = require('node:module')
const { Script } = require('node:vm')

// package.json "engines": undici needs it. npm only warns.
const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 19)) {
  console.error(`ERROR: Bale needs Node 22.19 or newer, and this is ${process.versions.node}: ${process.execPath}`)
  console.error('Fix: install Node 24, or put it beside Bale: npm install node@24')
  process.exit(1)
}

const filename = __filename.replace(/\.cjs$/, '.program.cjs')
const compiled = filename.replace(/\.cjs$/, '.v8')
const cachedData = existsSync(compiled) ? readFileSync(compiled) : undefined
const script = new Script(wrap(readFileSync(filename, 'utf8')), { filename, cachedData })
script.runInThisContext()(exports, require, module, filename, __dirname)
