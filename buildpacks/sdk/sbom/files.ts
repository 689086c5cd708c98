import { access, rm, writeFile } from 'node:fs/promises'
import type { Component } from './component.ts'
import { cycloneDx } from './cyclonedx.ts'
import { spdx } from './spdx.ts'

/** What a bill of materials is of, and which buildpack says so. */
export interface SbomSubject {
  readonly name: string
  /** A part of an image unless it says otherwise. */
  readonly type?: 'application'
  readonly tool: { readonly id: string; readonly version: string }
}

/** buildpack.md, "Software-Bill-of-Materials": the formats we write, and the endings of their files. */
const formats = { '.sbom.cdx.json': cycloneDx, '.sbom.spdx.json': spdx }

/** Writes the files beside the layer at `path`. */
export async function writeSbom(path: string, subject: SbomSubject, components: readonly Component[]): Promise<void> {
  const sorted = withoutDuplicates(components)
  for (const [ending, format] of Object.entries(formats)) await writeFile(path + ending, format(subject, sorted))
}

export async function removeSbom(path: string): Promise<void> {
  for (const ending of Object.keys(formats)) await rm(path + ending, { force: true })
}

/** True if an earlier build's files are all there. */
export async function hasSbom(path: string): Promise<boolean> {
  const found = await Promise.allSettled(Object.keys(formats).map(ending => access(path + ending)))
  return found.every(({ status }) => status === 'fulfilled')
}

/** npm may install one version of a package in many places: it is one component, and `bom-ref` has to be unique. */
export function withoutDuplicates(components: readonly Component[]): Component[] {
  const byPurl = new Map(components.map(component => [component.purl, component]))
  return [...byPurl.values()].toSorted((a, b) => (a.purl < b.purl ? -1 : 1))
}
