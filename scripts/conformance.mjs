// npm run conformance                 writes docs/conformance.md from test/conformance/
// npm run conformance -- SPEC COMMIT  takes the requirements' places from a checkout of buildpacks/spec first
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')
const [spec, commit] = process.argv.slice(2)
if (spec !== undefined) {
  const { requirementsIn } = await import('../test/conformance/requirements.ts')
  const files = ['buildpack.md', 'platform.md']
  const documents = Object.fromEntries(files.map(f => [f, requirementsIn(readFileSync(join(spec, f), 'utf8'))]))
  writeFileSync(join(root, 'test/conformance/spec.json'), `${JSON.stringify({ commit, documents }, undefined, 1)}\n`)
}
const { render } = await import('../test/conformance/table.ts')
const { documents } = await import('../test/conformance/rows.ts')
writeFileSync(join(root, 'docs/conformance.md'), render(documents))
