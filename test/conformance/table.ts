import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/**
 * The conformance table: a row for each requirement of the specification, in its order. `npm run conformance` writes it to
 * docs/conformance.md; a unit test holds it against the specification's requirements (spec.json) and against the tests.
 */

/** One requirement: a MUST, SHOULD or SHALL (RFC 2119), with or without NOT. A line with two of them has two rows. */
export type Row = {
  /** Its line in the document. */
  readonly line: number
  /** What is asked, in our own words. */
  readonly what: string
  /** The first API version with it, where that is not the oldest that we support; the newest it holds for. */
  readonly since?: string
  readonly until?: string
} & (
  | { readonly tests: Tests; readonly deviates?: string }
  /** It is not ours to keep, or not yet: why. */
  | { readonly notApplicable: string }
)

/**
 * Tests by file below test/ and title: `spec/api: knows 0.7 to 0.12`. Of a title that is put together, the text as it
 * stands in the file.
 */
type Tests = readonly [string, ...string[]]

export interface Section {
  readonly section: string
  readonly rows: readonly Row[]
}

export interface Document {
  readonly file: string
  readonly oldest: string
  readonly newest: string
  readonly sections: readonly Section[]
}

/** What is done where the specification leaves it open, or lifecycles do otherwise than it says. */
export interface Decision {
  readonly about: string
  readonly decision: string
  readonly tests: Tests
}

/** Where the requirements of the specification stand, without their text. */
export interface Requirements {
  readonly commit: string
  readonly documents: Readonly<Record<string, readonly { section: string; lines: readonly number[] }[]>>
}

const testDir = resolve(import.meta.dirname, '..')

export const requirements = JSON.parse(readFileSync(join(import.meta.dirname, 'spec.json'), 'utf8')) as Requirements

const shortCommit = requirements.commit.slice(0, 7)

export type State = 'holds' | 'not applicable' | 'deviates'

export function stateOf(row: Row): State {
  if ('notApplicable' in row) return 'not applicable'
  return row.deviates === undefined ? 'holds' : 'deviates'
}

/** What keeps a test that a row names from being found; undefined if it is there. */
export function testProblem(name: string): string | undefined {
  const [file = '', title = ''] = name.split(/: (.*)/s)
  const path = testFile(file)
  if (path === undefined) return `there is no test/${file}.test.ts`
  const escaped = title.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll("'", String.raw`\\?'`)
  const literal = new RegExp(`(['"\`])${escaped}\\1`)
  return literal.test(readFileSync(join(testDir, path), 'utf8')) ? undefined : `test/${path} has no ${title}`
}

/** A test's file, or that of a suite that several files run. */
function testFile(name: string): string | undefined {
  return [`${name}.test.ts`, `${name}.ts`].find(file => existsSync(join(testDir, file)))
}

/** The page for readers. */
export function render(documents: readonly Document[], decisions: readonly Decision[]): string {
  const all = documents.flatMap(d => d.sections).flatMap(s => s.rows)
  const count = (state: State): number => all.filter(row => stateOf(row) === state).length
  return [
    '# Conformance',
    '',
    'Each MUST, SHOULD and SHALL of the Cloud Native Buildpacks [platform](https://github.com/buildpacks/spec/blob/main/platform.md) and',
    `[buildpack](https://github.com/buildpacks/spec/blob/main/buildpack.md) specifications, as of commit ${shortCommit}: the API`,
    'versions it holds for here, and the tests that show it. A number leads to the line of the specification.',
    '',
    `${all.length} requirements: ${count('holds')} hold, ${count('deviates')} deviate, ${count('not applicable')} are not applicable.`,
    '',
    'A requirement holds because the tests that it names ran and passed: CI takes that from the results of its own run, and fails where one',
    'did not run or did not pass. `npm run conformance` writes this page from `test/conformance/`; a test fails when it is stale, or when a',
    'requirement has no row.',
    '',
    ...documents.flatMap(renderDocument),
    ...renderDecisions(decisions),
  ].join('\n')
}

function renderDecisions(decisions: readonly Decision[]): string[] {
  const rows = decisions.map(({ about, decision, tests }) => [about, decision, shownBy(tests).join('<br>')])
  return [
    '## Decisions',
    '',
    'Where the specification is silent, phase binaries do what the Go lifecycle does, since platforms are written against it. What is',
    'left open, or is done otherwise:',
    '',
    '| about | what Bale does | shown by |',
    '| --- | --- | --- |',
    ...rows.map(([about = '', decision = '', shown = '']) => `| ${cell(about)} | ${cell(decision)} | ${shown} |`),
    '',
  ]
}

function renderDocument(document: Document): string[] {
  return [`## ${document.file}`, '', ...document.sections.flatMap(section => renderSection(document, section))]
}

function renderSection(document: Document, { section, rows }: Section): string[] {
  const head = ['| | what | API | | shown by, or why |', '| --- | --- | --- | --- | --- |']
  return [`### ${section}`, '', ...head, ...rows.map(row => renderRow(document, row)), '']
}

function renderRow(document: Document, row: Row): string {
  const link = `https://github.com/buildpacks/spec/blob/${shortCommit}/${document.file}?plain=1#L${row.line}`
  const state = stateOf(row)
  const [since, until] = [row.since ?? document.oldest, row.until ?? document.newest]
  const apis = state === 'not applicable' ? '' : since === until ? since : `${since}–${until}`
  const shown =
    'notApplicable' in row ? [row.notApplicable] : [...(row.deviates ? [row.deviates] : []), ...shownBy(row.tests)]
  return `| [${row.line}](${link}) | ${cell(row.what)} | ${apis} | ${state} | ${shown.map(cell).join('<br>')} |`
}

function shownBy(tests: Tests): string[] {
  return tests.map(name => {
    const [file = '', title = ''] = name.split(/: (.*)/s)
    return `${testFile(file)?.replace(/(\.test)?\.ts$/, '')}: *${title}*`
  })
}

/** Text in a table cell: nothing in it is markup. */
function cell(text: string): string {
  return text.replaceAll(/[|<>_\\`[\]]/g, String.raw`\$&`)
}
