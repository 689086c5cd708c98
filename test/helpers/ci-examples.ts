import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { load, loadAll } from 'js-yaml'
import { root } from './bale.ts'

/** The commands of a file of examples/ci, with the variables of its CI system, for an image of that name in a registry. */
export interface CiExample {
  readonly file: string
  readonly script: string
  readonly env: (registry: string, name: string) => Record<string, string>
}

type Node = { readonly [key: string]: Node } & readonly Node[] & string

export const textOfExample = (file: string): string => readFileSync(join(root, 'examples/ci', file), 'utf8')
export const documentOf = (file: string): Node => load(textOfExample(file)) as Node
export const documentsOf = (file: string): Node[] => loadAll(textOfExample(file)) as Node[]

const lines = (node: Node): string => [...node].join('\n')
const auth = (registry: string): string => JSON.stringify({ [registry]: `Basic ${btoa('ann:hunter2')}` })
const NPM_TOKEN = 'npm-token-of-a-job'
/** For the CI systems whose secret is Bale's own variable. */
const ready = (registry: string, name: string) => ({
  IMAGE: `${registry}/${name}`,
  CNB_REGISTRY_AUTH: auth(registry),
  NPM_TOKEN,
})
const pod = (registry: string, name: string) => ({
  IMAGE: `${registry}/${name}:latest`,
  CACHE: `${registry}/${name}/cache`,
  SOURCE: 'dir:///source',
})

const podOf = (file: string): string => {
  const { spec } = documentOf(file)
  const job =
    (spec as Node)['jobTemplate'] === undefined ? (spec as Node) : ((spec as Node)['jobTemplate'] as Node)['spec']
  return (job as Node)['template']?.['spec']?.['containers']?.[0]?.['args']?.[0] as string
}

export const examples: readonly CiExample[] = [
  {
    file: '.gitlab-ci.yml',
    script: lines(documentOf('.gitlab-ci.yml')['build']?.['script'] as Node),
    env: (registry, name) => ({
      CI_REGISTRY: registry,
      CI_REGISTRY_IMAGE: `${registry}/${name}`,
      CI_REGISTRY_USER: 'ann',
      CI_REGISTRY_PASSWORD: 'hunter2',
      CI_COMMIT_SHA: 'abc',
      IMAGE: `${registry}/${name}:abc`,
      NPM_TOKEN,
    }),
  },
  {
    file: 'github-actions.yml',
    script: documentOf('github-actions.yml')['jobs']?.['build']?.['steps']?.[1]?.['run'] as string,
    env: (registry, name) => ({
      REGISTRY: registry,
      // Owners may have capital letters, which image names may not.
      GITHUB_REPOSITORY: `${name[0]?.toUpperCase()}${name.slice(1)}`,
      REGISTRY_USER: 'ann',
      REGISTRY_PASSWORD: 'hunter2',
      GITHUB_SHA: 'abc',
      GITHUB_OUTPUT: '/tmp/output',
      NPM_TOKEN,
    }),
  },
  {
    file: '.drone.yml',
    script: lines(documentOf('.drone.yml')['steps']?.[0]?.['commands'] as Node),
    env: (registry, name) => ({ ...ready(registry, name), DRONE_COMMIT_SHA: 'abc' }),
  },
  {
    file: '.woodpecker.yml',
    script: lines(documentOf('.woodpecker.yml')['steps']?.[0]?.['commands'] as Node),
    env: (registry, name) => ({ ...ready(registry, name), CI_COMMIT_SHA: 'abc' }),
  },
  {
    file: 'circleci.yml',
    script: documentOf('circleci.yml')['jobs']?.['build']?.['steps']?.[1]?.['run']?.['command'] as string,
    env: (registry, name) => ({ ...ready(registry, name), CIRCLE_SHA1: 'abc' }),
  },
  {
    file: 'Jenkinsfile',
    script: /sh '''([\s\S]*?)'''/.exec(textOfExample('Jenkinsfile'))?.[1] ?? '',
    env: (registry, name) => ({ ...ready(registry, name), GIT_COMMIT: 'abc' }),
  },
  {
    file: 'tekton/task.yaml',
    script: documentOf('tekton/task.yaml')['spec']?.['steps']?.[0]?.['script'] as string,
    env: (registry, name) => ({
      IMAGE: `${registry}/${name}:1`,
      CACHE: `${registry}/${name}-cache`,
      SUBPATH: '.',
      DIGEST_FILE: '/tmp/results-digest',
      URL_FILE: '/tmp/results-url',
    }),
  },
  {
    file: 'argo-workflow.yaml',
    script: documentOf('argo-workflow.yaml')['spec']?.['templates']?.[0]?.['container']?.['args']?.[0] as string,
    env: pod,
  },
  { file: 'kubernetes/job.yaml', script: podOf('kubernetes/job.yaml'), env: pod },
  { file: 'kubernetes/cronjob.yaml', script: podOf('kubernetes/cronjob.yaml'), env: pod },
]
