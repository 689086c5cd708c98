'use strict'
// The script that the dispatcher (main.c) starts Node with: before a buildpack's program (as --require), or as the phase itself.
const { closeSync, fstatSync, readSync } = require('node:fs')
const { basename, join } = require('node:path')

// For the kernel, the program is the loader. To start Node again, a program must use the dispatcher.
process.execPath = join(__dirname, 'node')

if (require.main === module) {
  takeEnvironment()
  start(basename(process.argv[2]))
}

/** Runs the program that the dispatcher was called as: a phase, or `bale`. `executor` is a command of `bale` (docs/from-kaniko.md). */
function start(name) {
  if (name !== 'bale' && name !== 'executor') return require('./phase.cjs')
  process.argv.splice(2, 1, ...(name === 'bale' ? [] : [name]))
  return require('./bale.cjs')
}

/** Reads the environment from main.c's file. From then on it is only in this process's memory. */
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
