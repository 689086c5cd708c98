import { runProgram } from './program.ts'

// What is made stays writable for this user alone, whatever the shell's umask is.
process.umask(process.umask() | 0o022)
// Who reads only the beginning of a help text has what they wanted; a build has a listener of its own.
process.stdout.on('error', () => {})

// No top-level await: the bundle is CommonJS, which starts sooner (scripts/bundle.mjs).
void runProgram(process.argv.slice(2), process).then(status => (process.exitCode = status))
