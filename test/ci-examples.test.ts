import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { root } from './helpers/bale.ts'
import { documentOf, documentsOf, examples, textOfExample } from './helpers/ci-examples.ts'

const files = readdirSync(join(root, 'examples/ci'), { recursive: true, encoding: 'utf8' })
  .filter(file => /\.ya?ml$|Jenkinsfile$/.test(file))
  .sort()

describe('examples/ci', () => {
  it('are listed in their README, and run by the tests', () => {
    const readme = textOfExample('README.md')
    expect(files.filter(file => !readme.includes(`](${file})`))).toEqual([])
    // The last one runs in test/kubernetes.e2e.test.ts.
    const run = new Set([...examples.map(({ file }) => file), 'tekton/pipeline.yaml', 'kubernetes/rebase.yaml'])
    expect(files.filter(file => !run.has(file))).toEqual([])
  })

  it.each(examples)('$file publishes with a cache and gives the digest on', ({ file, script }) => {
    expect(script).toMatch(/^\s*bale build /m)
    for (const part of ['--publish', '--cache-image', '--digest-file']) expect(script).toContain(part)
    expect(textOfExample(file)).toMatch(/[\s'"]registry\.example\.com\/bale\/builder:0\.1\.0/)
  })

  it('ask for no privilege, no socket and no root', () => {
    for (const file of files)
      expect(textOfExample(file), file).not.toMatch(/privileged: true|docker\.sock|dind|runAsUser: 0|unconfined/)
  })

  it.each(['kubernetes/job.yaml', 'kubernetes/cronjob.yaml', 'kubernetes/rebase.yaml'])(
    '%s holds to the restricted Pod Security Standard',
    file => {
      const text = textOfExample(file)
      const wanted = ['runAsNonRoot: true', 'type: RuntimeDefault', 'allowPrivilegeEscalation: false', 'drop: [ALL]']
      for (const line of [...wanted, 'readOnlyRootFilesystem: true']) expect(text).toContain(line)
      expect(documentsOf(file).at(-1)?.['apiVersion']).toBe('batch/v1')
    },
  )

  it.each(['kubernetes/job.yaml', 'kubernetes/cronjob.yaml'])('%s gives buildpacks no token of the cluster', file =>
    expect(textOfExample(file)).toContain('automountServiceAccountToken: false'),
  )

  it('the pipeline of Tekton uses what the task has', () => {
    const names = (of: unknown): string[] => ((of ?? []) as { name: string }[]).map(({ name }) => name)
    const task = documentOf('tekton/task.yaml')['spec']
    const used = documentOf('tekton/pipeline.yaml')['spec']?.['tasks']?.[1]
    for (const kind of ['params', 'workspaces'])
      expect(names(task?.[kind])).toEqual(expect.arrayContaining(names(used?.[kind])))
    expect(names(task?.['results'])).toContain('APP_IMAGE_DIGEST')
  })
})
