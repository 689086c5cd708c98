import type { Label } from '../../lifecycle/spec/types.ts'
import { BuildpackError, splitWords } from '../sdk/index.ts'

type Env = Readonly<Record<string, string>>

/** BP_OCI_ variables, and the label of each (image-spec, annotations.md, "Pre-Defined Annotation Keys"). */
const predefined: Readonly<Record<string, string>> = {
  BP_OCI_AUTHORS: 'authors',
  BP_OCI_CREATED: 'created',
  BP_OCI_DESCRIPTION: 'description',
  BP_OCI_DOCUMENTATION: 'documentation',
  BP_OCI_LICENSES: 'licenses',
  BP_OCI_REF_NAME: 'ref.name',
  BP_OCI_REVISION: 'revision',
  BP_OCI_SOURCE: 'source',
  BP_OCI_TITLE: 'title',
  BP_OCI_URL: 'url',
  BP_OCI_VENDOR: 'vendor',
  BP_OCI_VERSION: 'version',
}

/**
 * The labels from variables, by key: BP_OCI_TITLE and the like, `BP_IMAGE_LABELS='a=b "c=d e"'`, and GOOGLE_LABEL_BUILD_ID for
 * `google.build-id`.
 * @throws BuildpackError for a word of BP_IMAGE_LABELS that is no `key=value`
 */
export function readLabels(env: Env): Label[] {
  const labels = new Map<string, string>()
  for (const [name, value] of Object.entries(env)) {
    if (name.startsWith('GOOGLE_LABEL_')) {
      labels.set(`google.${name.slice('GOOGLE_LABEL_'.length).toLowerCase().replaceAll('_', '-')}`, value)
    }
    const key = Object.hasOwn(predefined, name) ? predefined[name] : undefined
    if (key !== undefined && value !== '') labels.set(`org.opencontainers.image.${key}`, value)
  }
  const where = 'BP_IMAGE_LABELS'
  for (const word of splitWords(env[where] ?? '', where)) {
    const [, key, value] = /^([^=]+)=(.*)$/s.exec(word) ?? []
    if (key === undefined || value === undefined) {
      throw new BuildpackError(`${JSON.stringify(word)} does not have the form key=value`, {
        where,
        fix: `write ${where}='team=shop "title=The shop"'`,
      })
    }
    labels.set(key, value)
  }
  return [...labels].map(([key, value]) => ({ key, value })).toSorted((a, b) => (a.key < b.key ? -1 : 1))
}
