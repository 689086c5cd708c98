// Adds up vitest's JSON reports and the failed steps, and prints one line of totals.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const [dir, failedSteps] = process.argv.slice(2)
let passed = 0
let failed = Number(failedSteps)
// Last, because a reader of a long log sees its end first.
const failures = []
for (const file of readdirSync(dir).filter(f => f.endsWith('.json'))) {
  const report = JSON.parse(readFileSync(join(dir, file), 'utf8'))
  passed += report.numPassedTests
  failed += report.numFailedTests + (report.success || report.numFailedTests > 0 ? 0 : 1)
  for (const suite of report.testResults) {
    if (suite.message) failures.push(`${suite.name}\n${suite.message}`)
    for (const test of suite.assertionResults) {
      if (test.status === 'failed') failures.push(`${test.fullName}\n${test.failureMessages.join('\n')}`)
      // Skipped tests are for features that a store cannot have. A program missing on the machine is a failure (test/helpers/skip.ts).
      if (test.status === 'pending' || test.status === 'skipped') console.log(`does not apply: ${test.fullName}`)
    }
  }
}
for (const failure of failures) console.log(`failed: ${failure}`)
if (passed === 0) failed++
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
