import { access, rm, writeFile } from 'node:fs/promises'
import type { Component, SbomSubject } from './component.ts'
import { cycloneDx } from './cyclonedx.ts'
import { spdx } from './spdx.ts'
import { syft } from './syft.ts'

/** A format of bills of materials, and the extension of its files (buildpack.md, "Software-Bill-of-Materials"). */
export interface SbomFormat {
  readonly mediaType: string
  readonly ending: string
  readonly write: (subject: SbomSubject, components: readonly Component[]) => string
}

const formats: readonly SbomFormat[] = [
  { mediaType: 'application/vnd.cyclonedx+json', ending: '.sbom.cdx.json', write: cycloneDx },
  { mediaType: 'application/spdx+json', ending: '.sbom.spdx.json', write: spdx },
  { mediaType: 'application/vnd.syft+json', ending: '.sbom.syft.json', write: syft },
]

/** The formats that a buildpack declares in `sbom-formats`: the lifecycle refuses files in any other. */
export function declaredFormats(mediaTypes: readonly string[]): SbomFormat[] {
  const declared = mediaTypes.map(type => type.split(';')[0]?.trim())
  return formats.filter(({ mediaType }) => declared.includes(mediaType))
}

/** Writes the files beside the layer at `path`. */
export async function writeSbom(
  path: string,
  wanted: readonly SbomFormat[],
  subject: SbomSubject,
  components: readonly Component[],
): Promise<void> {
  const sorted = withoutDuplicates(components)
  for (const { ending, write } of wanted) await writeFile(path + ending, write(subject, sorted))
}

/** Removes the files of every format, whoever wrote them. */
export async function removeSbom(path: string): Promise<void> {
  for (const { ending } of formats) await rm(path + ending, { force: true })
}

/** True if all of an earlier build's files exist. */
export async function hasSbom(path: string, wanted: readonly SbomFormat[]): Promise<boolean> {
  const found = await Promise.allSettled(wanted.map(({ ending }) => access(path + ending)))
  return found.every(({ status }) => status === 'fulfilled')
}

/** npm may install one version of a package in many places. It is one component, and `bom-ref` has to be unique. */
export function withoutDuplicates(components: readonly Component[]): Component[] {
  const byPurl = new Map(components.map(component => [component.purl, component]))
  return [...byPurl.values()].toSorted((a, b) => (a.purl < b.purl ? -1 : 1))
}
