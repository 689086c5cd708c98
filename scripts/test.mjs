// `npm test`: the unit tests, the launcher's, and a test from source to a running image. Skips and names tests that this machine cannot run.
// `--all-e2e`: all end-to-end tests instead, with a rotating third of test/apps. `--apps [NAME…]`: all of test/apps, or those whose names
// begin with NAME. `--faults`: random faults; BALE_FAULT_SEED repeats them, `--count N` makes N.
import { execFileSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { root, run, setup } from './setup.mjs'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'all-e2e': { type: 'boolean' },
    apps: { type: 'boolean' },
    faults: { type: 'boolean' },
    count: { type: 'string' },
  },
})
setup()
// bin/bale bundles if needed: here once, before several tests do it at the same time.
execFileSync(join(root, 'bin', 'bale'), ['--version'], { stdio: ['ignore', 'ignore', 'inherit'] })
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
const results = process.env.BALE_TEST_RESULTS
const report = name =>
  results === undefined
    ? []
    : ['--reporter=default', '--reporter=json', `--outputFile.json=${join(results, `${name}.json`)}`]
if (results !== undefined) mkdirSync(results, { recursive: true })

if (options.faults) {
  process.env.BALE_FAULT_SEED ??= String(randomInt(2 ** 31))
  if (options.count !== undefined) process.env.BALE_FAULT_COUNT = options.count
  console.log(`Once more with the same faults: BALE_FAULT_SEED=${process.env.BALE_FAULT_SEED} npm run test:faults`)
}
const applications = 'test/apps.e2e.test.ts'
if (options.apps) process.env.BALE_TEST_APPS = positionals.join() || 'all'
else if (!options['all-e2e']) process.env.BALE_TEST_APPS = 'quick'
const line = [
  ['unit', []],
  ['thorough', []],
  ['launchers', []],
  ['e2e', ['test/line.e2e.test.ts', applications]],
]
const suites = options['all-e2e']
  ? [['e2e', []]]
  : options.apps
    ? [['e2e', [applications]]]
    : options.faults
      ? [['faults', []]]
      : line
// Several suites use the builder image, which takes a minute to make. If it cannot be made, each of them fails.
let made
if (options['all-e2e'] && process.env.BALE_TEST_BUILDER_IMAGE === undefined) {
  made = mkdtempSync(join(tmpdir(), 'bale-test-builder-'))
  // Another user's Podman reads it.
  chmodSync(made, 0o755)
  const dist = run([join(root, 'scripts', 'dist.mjs'), '--out', made, 'builder-image'])
  if (dist.status === 0) process.env.BALE_TEST_BUILDER_IMAGE = join(made, 'builder-image.tar')
}
let status = 0
for (const [project, files] of suites) {
  const name = files.length > 1 ? 'line' : project
  const { status: own } = run([vitest, 'run', '--project', project, ...report(name), ...files])
  status ||= own ?? 1
}
if (made !== undefined) rmSync(made, { recursive: true, force: true })
process.exit(status)
