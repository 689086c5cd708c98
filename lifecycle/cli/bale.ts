import { runProgram } from './program.ts'

// No top-level await: the bundle is CommonJS, which starts sooner (scripts/bundle.mjs).
void runProgram(process.argv.slice(2), process).then(status => (process.exitCode = status))
