'use strict'
// What the dispatcher (main.c) has Node run: before a buildpack's program (as --require), or as the phase itself.
const { closeSync, fstatSync, readSync } = require('node:fs')
const { basename, join } = require('node:path')

// Seen from the kernel, the program is the loader. Whoever wants to start Node again has to go through the dispatcher.
process.execPath = join(__dirname, 'node')

if (require.main === module) {
  takeEnvironment()
  start(basename(process.argv[2]))
}

/** Becomes what the dispatcher was called as: a phase, or `bale`; `executor` is a command of that (docs/from-kaniko.md). */
function start(name) {
  if (name !== 'bale' && name !== 'executor') return require('./phase.cjs')
  process.argv.splice(2, 1, ...(name === 'bale' ? [] : [name]))
  return require('./bale.cjs')
}

/** Reads the environment from where main.c put it: from now on it is in this process' memory only. */
function takeEnvironment() {
  const fd = Number(process.env.BALE_ENVIRONMENT)
  const content = Buffer.alloc(fstatSync(fd).size)
  for (let done = 0; done < content.length;) done += readSync(fd, content, done, content.length - done, done)
  closeSync(fd)
  delete process.env.BALE_ENVIRONMENT
  for (const entry of content.toString().split('\0')) {
    const equals = entry.indexOf('=')
    if (equals > 0) process.env[entry.slice(0, equals)] ??= entry.slice(equals + 1)
  }
}
