import type { Component, SbomSubject } from './component.ts'

/** A CycloneDX 1.5 document as JSON. It has no serial number and no time: the same components give the same bytes. */
export function cycloneDx(subject: SbomSubject, components: readonly Component[]): string {
  const document = {
    $schema: 'http://cyclonedx.org/schema/bom-1.5.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: {
      tools: { components: [{ type: 'application', name: subject.tool.id, version: subject.tool.version }] },
      component: { 'bom-ref': subject.name, type: subject.type ?? 'container', name: subject.name },
    },
    components: components.map(({ name, version, purl, license, cpe }) => ({
      'bom-ref': purl,
      type: cpe === undefined ? 'library' : 'application',
      ...splitScope(name, purl),
      version,
      ...(license !== undefined && { licenses: [{ license: { name: license } }] }),
      ...(cpe !== undefined && { cpe }),
      purl,
    })),
  }
  return `${JSON.stringify(document, null, 2)}\n`
}

/** CycloneDX separates npm's scopes from names, as `group`. */
function splitScope(name: string, purl: string): { group?: string; name: string } {
  const slash = purl.startsWith('pkg:npm/') ? name.indexOf('/') : -1
  return slash < 0 ? { name } : { group: name.slice(0, slash), name: name.slice(slash + 1) }
}
