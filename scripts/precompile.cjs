// Reads a program and writes V8's compiled code: `node --random-seed=1 scripts/precompile.cjs <bale.program.cjs>`. The result
// depends on no path or random number, so the same program gives the same bytes. V8 accepts them with any seed.
const { readFileSync, writeSync } = require('node:fs')
const { wrap } = require('node:module')
const { Script } = require('node:vm')

const compiled = new Script(wrap(readFileSync(0, 'utf8')), { filename: 'program.cjs' }).createCachedData()
for (let done = 0; done < compiled.length;) done += writeSync(1, compiled, done)
