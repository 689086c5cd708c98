// npm run conformance                 writes docs/conformance.md from test/conformance/
// npm run conformance -- SPEC COMMIT  first takes the places of requirements from a checkout of buildpacks/spec: where they
//                                     are others than the rows', test/conformance says which
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')
const [spec, commit] = process.argv.slice(2)
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
writeFileSync(join(root, 'docs/conformance.md'), render(documents))
