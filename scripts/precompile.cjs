// Reads a program and writes what V8 makes of it: `node --random-seed=1 scripts/precompile.cjs <bale.program.cjs`. Neither
// a path nor a random number has a part in it, so the same program gives the same bytes; V8 takes them whatever its seed is.
const { readFileSync, writeSync } = require('node:fs')
const { wrap } = require('node:module')
const { Script } = require('node:vm')

const compiled = new Script(wrap(readFileSync(0, 'utf8')), { filename: 'program.cjs' }).createCachedData()
for (let done = 0; done < compiled.length;) done += writeSync(1, compiled, done)
