// `npm test`: the unit tests, and the line from source to a running image. What the machine lacks is skipped, and said.
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { root, run, setup } from './setup.mjs'

setup()
// It bundles if need be: once, before several tests would at the same time.
execFileSync(join(root, 'bin', 'bale'), ['--version'], { stdio: ['ignore', 'ignore', 'inherit'] })
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
const results = process.env.BALE_TEST_RESULTS
const report = name =>
  results === undefined
    ? []
    : ['--reporter=default', '--reporter=json', `--outputFile.json=${join(results, `${name}.json`)}`]
if (results !== undefined) mkdirSync(results, { recursive: true })

const suites = process.argv.includes('--all-e2e')
  ? [['e2e', []]]
  : [
      ['unit', []],
      ['e2e', ['test/line.e2e.test.ts']],
    ]
let status = 0
for (const [project, files] of suites) {
  const name = files.length > 0 ? 'line' : project
  const { status: own } = run([vitest, 'run', '--project', project, ...report(name), ...files])
  status ||= own ?? 1
}
process.exit(status)
