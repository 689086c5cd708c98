// Run as a process by lock.test.ts: adds one to a counter under the lock, as often as it is told, or holds the lock.
import { readFile, writeFile } from 'node:fs/promises'
import { withLock } from '../../lifecycle/files/lock.ts'

const [lock, counter, times] = process.argv.slice(2) as [string, string, string]

if (times === 'hold') {
  await withLock(lock, async () => {
    process.stdout.write('held\n')
    await new Promise(resolve => setTimeout(resolve, 60_000))
  })
}
for (let i = 0; i < Number(times); i++) {
  await withLock(lock, async () => {
    // Reading and writing are far apart: without a lock, additions would be lost.
    const value = Number(await readFile(counter, 'utf8'))
    await new Promise(resolve => setTimeout(resolve, 1))
    await writeFile(counter, String(value + 1))
  })
}
