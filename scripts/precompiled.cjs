// Has the name of a program of the bundle and starts it: `bale.program.cjs` from V8's compiled code in `bale.program.v8`
// (see scripts/bundle.mjs). Another version of Node rejects that code and compiles the source. Without the file, any Node
// does: npm's package has none, since it is for every kind of machine.
const { existsSync, readFileSync } = require('node:fs')
const { wrap } = require('node:module')
const { Script } = require('node:vm')

// package.json "engines": undici needs that version, but npm only warns.
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
