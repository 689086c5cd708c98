import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { root } from './helpers/bale.ts'
import { textOfExample } from './helpers/ci-examples.ts'
import { missing } from './helpers/docker-registry.ts'
import { goModule, goPrograms } from './helpers/go-programs.ts'
import { skip, suiteWith } from './helpers/skip.ts'
import { temporaryDirectory } from './helpers/temporary.ts'

// The files of examples/ci are what their systems take: by the schemas that check-jsonschema (PyPI) brings, by that of Argo's module,
// and by Tekton's own validation. Those of Kubernetes go to a cluster in kubernetes.e2e.test.ts.

const run = promisify(execFile)
const checker = 'check-jsonschema==0.39.0'
const argo = 'github.com/argoproj/argo-workflows/v3@v3.7.4'
const example = (file: string): string => join(root, 'examples/ci', file)

describe('examples/ci', () => {
  let dir: string
  const check = async (...argv: string[]) => (await run(join(dir, 'bin/check-jsonschema'), argv)).stdout
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'bale-test-schemas-'))
    await run('python3', ['-m', 'venv', dir])
    await run(join(dir, 'bin/pip'), ['install', '--quiet', checker])
  }, 180_000)
  afterAll(() => rm(dir, { recursive: true, force: true }))

  it.each([
    ['.gitlab-ci.yml', 'gitlab-ci'],
    ['github-actions.yml', 'github-workflows'],
    ['.drone.yml', 'drone-ci'],
    ['.woodpecker.yml', 'woodpecker-ci'],
    ['circleci.yml', 'circle-ci'],
  ])('%s is valid', async (file, schema) => {
    expect(await check('--builtin-schema', `vendor.${schema}`, example(file))).toContain('ok')
  })

  it('argo-workflow.yaml is valid', { timeout: 120_000 }, async context => {
    const absent = missing('go')
    if (absent !== undefined) return skip(context, absent)
    const published = join(await goModule(argo), 'api/jsonschema/schema.json')
    const schema = join(dir, 'argo.json')
    await writeFile(schema, JSON.stringify(closed(JSON.parse(await readFile(published, 'utf8')) as ArgoSchema)))
    expect(await check('--schemafile', schema, example('argo-workflow.yaml'))).toContain('ok')
    const misspelt = join(dir, 'misspelt.yaml')
    await writeFile(misspelt, textOfExample('argo-workflow.yaml').replace('outputs:', 'output:'))
    await expect(check('--schemafile', schema, misspelt)).rejects.toMatchObject({
      stdout: expect.stringContaining("'output' was unexpected") as string,
    })
  })
})

interface ArgoSchema {
  readonly definitions: Readonly<Record<string, { readonly properties?: object }>>
}

/** Argo's schema allows any further field; a misspelt one would be valid. */
function closed(schema: ArgoSchema): ArgoSchema {
  const definitions = Object.entries(schema.definitions).map(([name, definition]) => [
    name,
    definition.properties === undefined ? definition : { additionalProperties: false, ...definition },
  ])
  return { ...schema, definitions: Object.fromEntries(definitions) as ArgoSchema['definitions'] }
}

// Kubernetes' own modules have the version of test/kubernetes/build, so that Go compiles them once for both.
const kubernetes = ['api', 'apimachinery', 'client-go'].map(name => `k8s.io/${name}@v0.34.4`)
const tekton = await goPrograms({
  name: 'tekton/v1.10.0',
  programs: { tekton: 'test/ci-validators/tekton.go' },
  modules: ['github.com/tektoncd/pipeline@v1.10.0', ...kubernetes],
})

suiteWith('Tekton', tekton, programs => {
  const check = (...files: string[]) => run(join(programs, 'tekton'), files)

  it('takes the Task and the Pipeline of examples/ci', async () => {
    await check(example('tekton/task.yaml'), example('tekton/pipeline.yaml'))
  })

  it.each([
    ['a parameter that the Task has not', '$(params.APP_IMAGE)', '$(params.APP)', /non-existent variable.*APP/],
    ['a field that there is not', 'workspaces:', 'workspace:', /unknown field ".*workspace"/],
  ])('does not take %s', async (_what, from, to, message) => {
    const file = join(await temporaryDirectory(), 'task.yaml')
    await writeFile(file, textOfExample('tekton/task.yaml').replace(from, to))
    await expect(check(file)).rejects.toMatchObject({ stdout: expect.stringMatching(message) as string })
  })
})
