import { relative, sep } from 'node:path'
import type { Row } from './table.ts'

/** What this reads of one of vitest's JSON reports. */
export interface Report {
  readonly testResults: readonly {
    /** The absolute path of the file. */
    readonly name: string
    readonly assertionResults: readonly {
      readonly ancestorTitles: readonly string[]
      readonly title: string
      readonly status: string
    }[]
  }[]
}

/** A requirement or a decision, by its name, and the tests that show it to hold. */
export interface Claim {
  readonly name: string
  readonly tests: readonly string[]
}

export function claimsOf(rows: readonly Row[]): Claim[] {
  return rows.flatMap(row => ('tests' in row ? [{ name: `${row.line} ${row.what}`, tests: row.tests }] : []))
}

/**
 * The claims that a run of the tests does not show to hold: a test that one names did not run, or did not pass.
 * @param testDir absolute path of the folder that claims name files in
 */
export function unproven(claims: readonly Claim[], reports: readonly Report[], testDir: string): string[] {
  const ran = reports.flatMap(report => report.testResults).flatMap(fileResults(testDir))
  const problems = new Map<string, string | undefined>()
  const problemOf = (name: string): string | undefined => {
    if (!problems.has(name)) problems.set(name, problem(name, ran))
    return problems.get(name)
  }
  return claims.flatMap(({ name, tests }) =>
    tests.flatMap(test => problemOf(test) ?? []).map(text => `${name}: ${text}`),
  )
}

interface Result {
  /** As rows name it: `spec/api`. */
  readonly file: string
  readonly titles: readonly string[]
  readonly status: string
}

const fileResults =
  (testDir: string) =>
  ({ name, assertionResults }: Report['testResults'][number]): Result[] =>
    assertionResults.map(({ ancestorTitles, title, status }) => ({
      file: relative(testDir, name)
        .split(sep)
        .join('/')
        .replace(/(\.test)?\.ts$/, ''),
      titles: [title, ...ancestorTitles],
      status,
    }))

function problem(name: string, ran: readonly Result[]): string | undefined {
  const [file = '', title = ''] = name.split(/: (.*)/s)
  // A suite that several files run has no results of its own.
  const own = ran.filter(result => result.file === file)
  const results = titled(title, own.length > 0 ? own : ran)
  const failed = results.filter(({ status }) => status === 'failed')
  if (failed.length > 0) return `"${name}" failed: ${failed[0]?.titles[0]}`
  return results.some(({ status }) => status === 'passed') ? undefined : `"${name}" did not run`
}

/** The tests of a title; or else the cases of a table whose titles have it in them, between what all cases share. */
function titled(title: string, ran: readonly Result[]): readonly Result[] {
  const pattern = titlePattern(title)
  const exact = ran.filter(({ titles }) => titles.some(text => pattern.test(text)))
  return exact.length > 0 ? exact : ran.filter(({ titles: [own = ''] }) => own.includes(title))
}

/** A title as it stands in a file, with what `it.each` and template literals put in. */
export function titlePattern(title: string): RegExp {
  const parts = title.split(/%[sdifjoOc#$%]|\$\{[^}]*\}|\$[A-Za-z_][\w.]*/)
  return new RegExp(`^${parts.map(part => part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)).join('.*')}$`, 's')
}
