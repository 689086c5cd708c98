// `npm run check`: runs the checks that argv names at the same time, and prints what each said once it has ended.
import { spawn } from 'node:child_process'
import { performance } from 'node:perf_hooks'
import { root } from './setup.mjs'

const checks = process.argv.slice(2)
const failed = []
await Promise.all(checks.map(check))
if (failed.length > 0) {
  console.error(`failed: ${failed.join(', ')}`)
  process.exitCode = 1
}

async function check(name) {
  const started = performance.now()
  const child = spawn('npm', ['run', '--silent', `check:${name}`], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  const output = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => output.push(chunk))
  const code = await new Promise((done, stop) => child.once('error', stop).once('close', done))
  if (code !== 0) {
    failed.push(name)
    process.stderr.write(Buffer.concat(output))
  }
  console.log(`${name}: ${code === 0 ? 'ok' : 'failed'}, ${((performance.now() - started) / 1000).toFixed(0)} s`)
}
