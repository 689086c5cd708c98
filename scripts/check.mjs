// `npm run check`: runs the checks of argv concurrently, and prints the output of each when it has ended.
// `npm run check:quick`: with --changed, lint and unit tests only for changes since the last commit; types of everything,
// incrementally, since a changed type breaks files that did not change.
import { execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { root } from './setup.mjs'

const isQuick = process.argv.includes('--changed')
const checks = process.argv.slice(2).filter(name => name !== '--changed')
const changed = isQuick ? changedFiles() : []
const failed = []
await Promise.all(checks.map(check))
if (failed.length > 0) {
  console.error(`failed: ${failed.join(', ')}`)
  process.exitCode = 1
}

async function check(name) {
  const started = performance.now()
  const [program, ...argv] = isQuick ? quick(name) : ['npm', 'run', '--silent', `check:${name}`]
  if (program === undefined) return console.log(`${name}: nothing changed`)
  const child = spawn(program, argv, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  const output = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => output.push(chunk))
  const code = await new Promise((done, stop) => child.once('error', stop).once('close', done))
  if (code !== 0) {
    failed.push(name)
    process.stderr.write(Buffer.concat(output))
  }
  console.log(`${name}: ${code === 0 ? 'ok' : 'failed'}, ${((performance.now() - started) / 1000).toFixed(0)} s`)
}

/** Files that git tracks or would add, and that differ from the last commit. */
function changedFiles() {
  const git = (...argv) => execFileSync('git', argv, { cwd: root, encoding: 'utf8' }).split('\0').filter(Boolean)
  const files = [
    ...git('diff', '--name-only', '-z', 'HEAD'),
    ...git('ls-files', '--others', '--exclude-standard', '-z'),
  ]
  return files.filter(file => existsSync(join(root, file)))
}

/** The command of a check for the changed files; empty if the check does not apply to them. */
function quick(name) {
  if (name === 'types') return ['npm', 'run', '--silent', 'check:types']
  const sources = changed.filter(file => /\.([cm]?js|m?ts)$/.test(file) && !/^(test\/apps|examples)\//.test(file))
  if (sources.length === 0) return []
  const argv = { lint: ['eslint', '--no-warn-ignored'], unit: ['vitest', 'related', '--run', '--project', 'unit'] }[
    name
  ]
  // npm's --no: never installs from the registry.
  return ['npm', 'exec', '--no', '--', ...argv, ...sources]
}
