import { execFile, execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { root } from './helpers/bale.ts'

// The schemas that CI systems publish, as check-jsonschema (PyPI) brings them.

const version = '0.39.0'
const schemas = {
  '.gitlab-ci.yml': 'vendor.gitlab-ci',
  'github-actions.yml': 'vendor.github-workflows',
  '.drone.yml': 'vendor.drone-ci',
  '.woodpecker.yml': 'vendor.woodpecker-ci',
  'circleci.yml': 'vendor.circle-ci',
}

describe('examples/ci', () => {
  let dir: string
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'bale-test-schemas-'))
    execFileSync('python3', ['-m', 'venv', dir])
    execFileSync(join(dir, 'bin/pip'), ['install', '--quiet', `check-jsonschema==${version}`])
  }, 180_000)
  afterAll(() => rm(dir, { recursive: true, force: true }))

  it.each(Object.entries(schemas))('%s is valid', async (file, schema) => {
    const argv = ['--builtin-schema', schema, join(root, 'examples/ci', file)]
    const { stdout } = await promisify(execFile)(join(dir, 'bin/check-jsonschema'), argv)
    expect(stdout).toContain('ok')
  })
})
