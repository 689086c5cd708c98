// Reads a program and writes V8's compiled code: `node --random-seed=1 scripts/precompile.cjs <bale.program.cjs`. The result
// depends on no path or random number, so the same program gives the same bytes. V8 accepts them with any seed. A library is
// loaded first (`precompile.cjs loaded`): V8 compiles a function when it is called, and loading calls most of them. Of a program
// that runs most of its functions, all are compiled (`precompile.cjs all`).
const { readFileSync, writeSync } = require('node:fs')
const { wrap } = require('node:module')
const { setFlagsFromString } = require('node:v8')
const { Script } = require('node:vm')

const [how] = process.argv.slice(2)
if (how === 'all') setFlagsFromString('--no-lazy')
const script = new Script(wrap(readFileSync(0, 'utf8')), { filename: 'program.cjs' })
// V8 records its flags with the code, and rejects code with other flags than its own.
setFlagsFromString('--lazy')
const library = { exports: {} }
if (how === 'loaded') script.runInThisContext()(library.exports, require, library, 'program.cjs', '.')
const compiled = script.createCachedData()
for (let done = 0; done < compiled.length;) done += writeSync(1, compiled, done)
