// Adds up vitest's JSON reports and the steps that failed, and prints the line that says it all.
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
      // What a store cannot have by its nature; what the machine lacks is a failure here (test/helpers/skip.ts).
      if (test.status === 'pending' || test.status === 'skipped') console.log(`does not apply: ${test.fullName}`)
    }
  }
}
for (const failure of failures) console.log(`failed: ${failure}`)
if (passed === 0) failed++
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
