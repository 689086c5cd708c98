// npm run conformance                 writes docs/conformance.md from test/conformance/
// npm run conformance -- SPEC COMMIT  first reads the places of requirements from a checkout of buildpacks/spec; test/conformance
//                                     reports the ones that differ from the rows'
// npm run conformance -- --results D  writes nothing: fails unless every test that a row names ran and passed, by vitest's
//                                     JSON reports in the directory D. CI does that with all its suites.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

const root = resolve(import.meta.dirname, '..')
const { values, positionals } = parseArgs({ allowPositionals: true, options: { results: { type: 'string' } } })
const [spec, commit] = positionals
if (spec !== undefined) {
  if (commit === undefined) throw new Error('name the commit of the checkout, too')
  const { requirementsIn } = await import('../test/conformance/requirements.ts')
  const files = ['buildpack.md', 'platform.md']
  const documents = Object.fromEntries(files.map(f => [f, requirementsIn(readFileSync(join(spec, f), 'utf8'))]))
  const file = join(root, 'test/conformance/spec.json')
  const { format, resolveConfig } = await import('prettier')
  const options = { ...(await resolveConfig(file)), filepath: file }
  writeFileSync(file, await format(JSON.stringify({ commit, documents }), options))
}
const { render } = await import('../test/conformance/table.ts')
const { documents } = await import('../test/conformance/rows.ts')
const { decisions } = await import('../test/conformance/decisions.ts')
if (values.results === undefined) writeFileSync(join(root, 'docs/conformance.md'), render(documents, decisions))
else await checkResults(values.results)

async function checkResults(dir) {
  const { claimsOf, unproven } = await import('../test/conformance/results.ts')
  const files = readdirSync(dir).filter(file => file.endsWith('.json'))
  const reports = files.map(file => JSON.parse(readFileSync(join(dir, file), 'utf8')))
  const rows = documents.flatMap(document => document.sections).flatMap(section => section.rows)
  const check = claims => {
    const problems = unproven(claims, reports, join(root, 'test'))
    for (const problem of problems) console.error(`not shown: ${problem}`)
    return new Set(problems.map(problem => problem.split(':')[0])).size
  }
  const requirements = check(claimsOf(rows))
  const others = check(decisions.map(({ about, tests }) => ({ name: about, tests })))
  console.log(`${rows.length} requirements: ${requirements} are not shown by this run`)
  console.log(`${decisions.length} decisions: ${others} are not shown by this run`)
  process.exitCode = requirements + others === 0 ? 0 : 1
}
