import { fileURLToPath } from 'node:url'
import { BaleError } from '../errors.ts'
import type { Io } from './phase/binary.ts'
import { main } from './phase/main.ts'

// The phase binaries: what this process is, and no more.

const abort = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => abort.abort(new BaleError('cancelled', `stopped by ${signal}`)))
// Nobody reads on, or the disk is full that it goes to (O03).
process.stdout.on('error', (error: Error) =>
  abort.abort(new BaleError('cancelled', `the output cannot be written: ${error.message}`)),
)
process.stderr.on('error', () => {})

const io: Io = {
  write: text => void process.stdout.write(text),
  user: { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 },
  signal: abort.signal,
  become({ uid, gid }, groups) {
    process.setgroups?.([...groups])
    process.setgid?.(gid)
    process.setuid?.(uid)
  },
  program: name => [process.execPath, fileURLToPath(import.meta.url), name],
}

process.umask(0o022)
void main(process.argv.slice(2), process.env, io).then(status => (process.exitCode = status))
