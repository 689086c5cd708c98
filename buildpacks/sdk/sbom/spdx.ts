import { createHash } from 'node:crypto'
import type { Component, SbomSubject } from './component.ts'

/**
 * An SPDX 2.3 document as JSON. The specification requires a time (clause 6.9) and a unique namespace (6.5). They are the time of files
 * in layers, and a digest of the contents, so the same components give the same bytes.
 */
export function spdx(subject: SbomSubject, components: readonly Component[]): string {
  const tool = `${subject.tool.id}-${subject.tool.version}`
  const packages = components.map(spdxPackage)
  const digest = createHash('sha256')
    .update(JSON.stringify([subject.name, tool, packages]))
    .digest('hex')
  const document = {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: subject.name,
    documentNamespace: `urn:sha256:${digest}`,
    creationInfo: {
      created: '1980-01-01T00:00:01Z',
      creators: [`Tool: ${tool}`],
    },
    packages,
    relationships: packages.map(({ SPDXID }) => ({
      spdxElementId: 'SPDXRef-DOCUMENT',
      relationshipType: 'DESCRIBES',
      relatedSpdxElement: SPDXID,
    })),
  }
  return `${JSON.stringify(document, null, 2)}\n`
}

function spdxPackage({ name, version, purl, license, cpe }: Component, index: number) {
  const purlRef = { referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl }
  const cpeRef = { referenceCategory: 'SECURITY', referenceType: 'cpe23Type', referenceLocator: cpe }
  return {
    // An id may contain only letters, digits, dots and dashes. The number distinguishes ids that would be equal otherwise.
    SPDXID: `SPDXRef-Package-${index + 1}-${name.replaceAll(/[^A-Za-z0-9.-]+/g, '-')}`,
    name,
    versionInfo: version,
    downloadLocation: 'NOASSERTION',
    filesAnalyzed: false,
    licenseConcluded: 'NOASSERTION',
    // The field requires a valid expression, which the text of a package often is not.
    licenseDeclared: 'NOASSERTION',
    ...(license !== undefined && { licenseComments: `The package says: ${license}` }),
    copyrightText: 'NOASSERTION',
    externalRefs: cpe === undefined ? [purlRef] : [purlRef, cpeRef],
  }
}
