// Reads a program and writes V8's compiled code: `node --random-seed=1 scripts/precompile.cjs <bale.program.cjs`. The result
// depends on no path or random number, so the same program gives the same bytes. V8 accepts them with any seed. A library is
// loaded first (`precompile.cjs loaded`): V8 compiles a function when it is called, and loading calls most of them.
const { readFileSync, writeSync } = require('node:fs')
const { wrap } = require('node:module')
const { Script } = require('node:vm')

const script = new Script(wrap(readFileSync(0, 'utf8')), { filename: 'program.cjs' })
const library = { exports: {} }
if (process.argv[2] === 'loaded') script.runInThisContext()(library.exports, require, library, 'program.cjs', '.')
const compiled = script.createCachedData()
for (let done = 0; done < compiled.length;) done += writeSync(1, compiled, done)
