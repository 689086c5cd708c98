import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { BaleError } from '../errors.ts'
import { batch } from './batch.ts'
import type { Io } from './phase/context.ts'
import { main } from './phase/main.ts'
import { writeFully } from './phase/output.ts'

// Entry point of the phase binaries. Passes this process to `main`.

// undici's parser is one WebAssembly function of 33 KB. V8 counts each of its long jumps as much executed code, and after some
// eight requests optimizes it on another thread: 65 ms of processor time, which the end of the process waits for. With 16 times
// V8's budget, only a process with many requests does so.
setFlagsFromString('--wasm-tiering-budget=208000000')

const abort = new AbortController()
let unheard = false
const output = batch(write)
process.on('exit', output.flush)
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => abort.abort(new BaleError('cancelled', `stopped by ${signal}`)))

/** In the bundle, the file that loads the compiled code (scripts/precompiled.cjs). It saves 10 ms in each phase of `creator`. */
const self = fileURLToPath(import.meta.url).replace(/\.program\.cjs$/, '.cjs')

const io: Io = {
  write: output.write,
  user: { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 },
  signal: abort.signal,
  become({ uid, gid }, groups) {
    process.setgroups?.([...groups])
    process.setgid?.(gid)
    process.setuid?.(uid)
  },
  program: name => [process.execPath, '--disable-sigusr1', self, name],
  supervisor: join(dirname(self), 'supervisor'),
  landlock: join(dirname(self), 'landlock'),
  kanikoDir: '/kaniko',
}

// Child processes do not need the variable, and buildpacks may be able to read a child's environment (K19).
const env = { ...process.env }
delete process.env['CNB_REGISTRY_AUTH']
process.umask(0o022)
void main(process.argv.slice(2), env, io).then(status => (process.exitCode = status))

/** Not `process.stdout`, which buffers without limit for a slow reader. */
function write(text: string): void {
  if (unheard) return
  try {
    writeFully(1, text)
  } catch (error) {
    // The reader has closed the output, or its disk is full (O03).
    unheard = true
    abort.abort(new BaleError('cancelled', `the output cannot be written: ${(error as Error).message}`))
  }
}
