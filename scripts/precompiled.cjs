// Goes before a program of the bundle and bears its name: starts `bale.program.cjs` from `bale.program.v8`, what V8 made of
// it when it was bundled (see scripts/bundle.mjs). Another version of Node does not take that, and compiles the source.
const { readFileSync } = require('node:fs')
const { wrap } = require('node:module')
const { Script } = require('node:vm')

const filename = __filename.replace(/\.cjs$/, '.program.cjs')
const cachedData = readFileSync(filename.replace(/\.cjs$/, '.v8'))
const script = new Script(wrap(readFileSync(filename, 'utf8')), { filename, cachedData })
script.runInThisContext()(exports, require, module, filename, __dirname)
