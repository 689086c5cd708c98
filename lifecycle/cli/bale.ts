import { runProgram } from './program.ts'

// Only this user may write to the files that Bale creates, even with a looser umask in the shell.
process.umask(process.umask() | 0o022)
// A reader of a help text may close the pipe early: that is no error. A build has its own listener.
process.stdout.on('error', () => {})

// No top-level await: the bundle is CommonJS, which starts sooner (scripts/bundle.mjs).
void runProgram(process.argv.slice(2), process).then(status => (process.exitCode = status))
