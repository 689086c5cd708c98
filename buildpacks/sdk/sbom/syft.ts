import { createHash } from 'node:crypto'
import type { Component, SbomSubject } from './component.ts'

/** The schema of the document, from https://github.com/anchore/syft/blob/main/schema/json. */
const schema = {
  version: '16.0.0',
  url: 'https://raw.githubusercontent.com/anchore/syft/main/schema/json/schema-16.0.0.json',
}

/** Syft's name for the packages of each package URL type, and their language. Every other package is a `binary`. */
const kinds: Readonly<Record<string, { readonly type: string; readonly language: string }>> = {
  cargo: { type: 'rust-crate', language: 'rust' },
  deb: { type: 'deb', language: '' },
  golang: { type: 'go-module', language: 'go' },
  npm: { type: 'npm', language: 'javascript' },
  pypi: { type: 'python', language: 'python' },
}

/** A Syft JSON document. Ids are digests of what they identify: the same components give the same bytes. */
export function syft(subject: SbomSubject, components: readonly Component[]): string {
  const document = {
    artifacts: components.map(component => artifact(component)),
    artifactRelationships: [],
    source: {
      id: idOf(subject.name, subject.tool.version),
      name: subject.name,
      version: subject.tool.version,
      type: 'directory',
      metadata: { path: subject.name },
    },
    distro: {},
    descriptor: { name: subject.tool.id, version: subject.tool.version },
    schema,
  }
  return `${JSON.stringify(document, null, 2)}\n`
}

function artifact({ name, version, purl, license, cpe }: Component) {
  const { type, language } = kinds[/^pkg:([a-z]+)\//.exec(purl)?.[1] ?? ''] ?? { type: 'binary', language: '' }
  return {
    id: idOf(purl),
    name,
    version,
    type,
    foundBy: '',
    locations: [],
    // `spdxExpression` has to be a valid expression, which the text of a package often is not.
    licenses:
      license === undefined ? [] : [{ value: license, spdxExpression: '', type: 'declared', urls: [], locations: [] }],
    language,
    cpes: cpe === undefined ? [] : [{ cpe, source: 'declared' }],
    purl,
  }
}

const idOf = (...parts: string[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16)
