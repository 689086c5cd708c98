import { stripVTControlCharacters } from 'node:util'
import type { PhaseName } from '../errors.ts'

/** The names of phases in output: `===> ANALYZING`. */
export const phaseTitles: Record<PhaseName, string> = {
  analyze: 'ANALYZING',
  detect: 'DETECTING',
  generate: 'GENERATING',
  restore: 'RESTORING',
  extend: 'EXTENDING',
  build: 'BUILDING',
  export: 'EXPORTING',
  rebase: 'REBASING',
}

/** `1.2 MB`, decimal units. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

/** Formats a reference in its short form: without Docker Hub's name and `library/`. */
export function shortName(name: string): string {
  return name.replace(/^index\.docker\.io\/(library\/)?/, '')
}

/** `0.4 s`, `1 min 12 s`. */
export function formatDuration(milliseconds: number): string {
  const seconds = milliseconds / 1000
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`
}

/** Formats rows as columns under their heads. */
export function formatTable(heads: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [heads, ...rows]
  const widths = heads.map((_head, column) => Math.max(...all.map(row => (row[column] ?? '').length)))
  return all.map(row =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

/** `5 minutes ago`, `3 days ago`. */
export function formatAge(milliseconds: number): string {
  const minutes = Math.max(0, Math.floor(milliseconds / 60_000))
  const [count, unit] =
    minutes < 60
      ? [minutes, 'minute']
      : minutes < 48 * 60
        ? [Math.floor(minutes / 60), 'hour']
        : [Math.floor(minutes / 1440), 'day']
  return count === 0 ? 'just now' : `${count} ${unit}${count === 1 ? '' : 's'} ago`
}

/**
 * Sanitises text from a buildpack or a server for a terminal or a log: removes escapes that could move the cursor, set the
 * title or forge a line (S16, X10, X31). Drops colours too; keeps tabs.
 */
export function printable(text: string): string {
  return stripVTControlCharacters(text).replaceAll(
    /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    c => {
      return `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`
    },
  )
}

/** Sanitises several lines. Indents all but the first, so that no line within a name looks like one of Bale's. */
export function printableLines(text: string): string {
  return text
    .split('\n')
    .map((line, i) => (i === 0 || line.startsWith('  ') ? printable(line) : `  ${printable(line)}`))
    .join('\n')
}

export interface Style {
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  readonly red: (text: string) => string
  readonly yellow: (text: string) => string
  readonly green: (text: string) => string
  readonly cyan: (text: string) => string
}

export function makeStyle(color: boolean): Style {
  const wrap = (open: number, close: number) => (text: string) =>
    color ? `\u001b[${open}m${text}\u001b[${close}m` : text
  return {
    bold: wrap(1, 22),
    dim: wrap(2, 22),
    red: wrap(31, 39),
    yellow: wrap(33, 39),
    green: wrap(32, 39),
    cyan: wrap(36, 39),
  }
}

/** JSON for a program or a terminal. Escapes characters that control a terminal or change the direction of text (O08). */
export function printableJson(value: unknown): string {
  return JSON.stringify(value, null, 2).replaceAll(
    /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** Puts extensions on one line: platforms read a line of an id and a version as a buildpack. */
export function extensionsLine(extensions: readonly { readonly id: string; readonly version: string }[]): string[] {
  if (extensions.length === 0) return []
  return [`Image extensions: ${extensions.map(e => printable(`${e.id}@${e.version}`)).join(', ')}`]
}
