// What Bale costs, beside tar and other builders on the same machine, as ratios within one run:
//
//   npm run bench                                 everything that can be measured here
//   npm run bench -- export restore               these pieces
//   npm run bench -- --small --runs 1 --json      a tree a quarter as large, each once, for programs
//   npm run bench -- --full --markdown            the largest inputs too, as a table for the README
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'
import { buildDeflate } from '../scripts/build-deflate.mjs'
import { buildRows } from './build.ts'
import { daemonRows } from './daemon.ts'
import { exportRows } from './export.ts'
import { type Row, quote } from './measure.ts'
import { memoryRows } from './memory.ts'
import { rebaseRows } from './rebase.ts'
import { restoreRows } from './restore.ts'
import { type Tree, makeTree } from './tree.ts'

/** What the pieces measure with. */
export interface Bench {
  /** Empty at first; commands run in it. */
  readonly dir: string
  readonly root: string
  readonly runs: number
  /** The largest inputs, which take minutes, as well. */
  readonly full: boolean
  /** A node_modules; made when first asked for. */
  readonly tree: () => Tree
  /** The command that runs a task of bench/task.ts. */
  readonly task: (...args: string[]) => string
}

const pieces: Record<string, (bench: Bench) => Row[] | Promise<Row[]>> = {
  export: exportRows,
  build: buildRows,
  restore: restoreRows,
  rebase: rebaseRows,
  memory: memoryRows,
  daemon: daemonRows,
}

const root = join(import.meta.dirname, '..')
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    small: { type: 'boolean', default: false },
    full: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    markdown: { type: 'boolean', default: false },
    runs: { type: 'string', default: '5' },
  },
})
const unknown = positionals.find(name => !(name in pieces))
if (unknown !== undefined) throw new Error(`there is no piece ${unknown}, but ${Object.keys(pieces).join(', ')}`)

const dir = mkdtempSync(join(tmpdir(), 'bale-bench-'))
try {
  await bundle()
  let tree: Tree | undefined
  const bench: Bench = {
    dir,
    root,
    runs: Number(values.runs),
    full: values.full,
    tree: () => (tree ??= makeTree(join(root, 'node_modules'), join(dir, 'tree'), values.small ? 1 : 4)),
    task: (...args) => [process.execPath, join(dir, 'dist/task.mjs'), ...args].map(quote).join(' '),
  }
  const rows: Row[] = []
  for (const name of positionals.length > 0 ? positionals : Object.keys(pieces)) {
    const found = (await pieces[name]?.(bench)) ?? []
    rows.push(...found)
    if (!values.json && !values.markdown) console.log(text(found))
  }
  if (values.json) console.log(JSON.stringify({ ...conditions(tree), rows }, undefined, 2))
  else if (values.markdown) console.log(`${markdown(rows)}\n\n${JSON.stringify(conditions(tree))}`)
  else console.log(JSON.stringify(conditions(tree)))
} finally {
  rmSync(dir, { recursive: true, force: true })
}

async function bundle(): Promise<void> {
  await build({
    entryPoints: [join(import.meta.dirname, 'task.ts')],
    outdir: join(dir, 'dist'),
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  })
  await buildDeflate({ bundle: join(dir, 'dist') })
}

function conditions(tree: Tree | undefined) {
  return {
    date: new Date().toISOString().slice(0, 10),
    runs: Number(values.runs),
    processors: `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown'}`,
    node: process.version,
    commit: execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim(),
    load: loadavg().map(load => Number(load.toFixed(1))),
    ...(tree && { tree: { files: tree.files, bytes: tree.bytes } }),
  }
}

function text(rows: readonly Row[]): string {
  const lines = rows.map(row => {
    const ratio = row.ratio === undefined ? (row.note ?? '') : `${row.ratio.toFixed(2)} × ${row.against}`
    const target = row.target === undefined ? '' : `${row.met === true ? 'met' : 'NOT MET'} (≤ ${row.target})`
    const figures =
      row.count === undefined ? [row.seconds?.toFixed(2), row.cpuSeconds?.toFixed(2), row.peakMB] : [row.count]
    return `${row.name.padEnd(48)}${figures.map(figure => String(figure ?? '').padStart(9)).join('')}   ${ratio.padEnd(28)} ${target}`
  })
  const head = `${(rows[0]?.piece ?? '').padEnd(48)}   wall s    CPU s  peak MB`
  return [head, ...lines, ''].join('\n')
}

function markdown(rows: readonly Row[]): string {
  const cells = rows.map(({ name, seconds, peakMB, by, count, against, ratio, target, met, note }) => {
    const figure = count ?? (by === 'peakMB' ? `${peakMB} MB` : seconds === undefined ? '' : `${seconds.toFixed(2)} s`)
    const beside = ratio === undefined ? (note ?? '') : `${ratio.toFixed(2)} × ${against}`
    const verdict = target === undefined ? '' : met === true ? `≤ ${target}: met` : `≤ ${target}: **not met**`
    return `| ${name.replaceAll('|', '\\|')} | ${figure} | ${beside.replaceAll('|', '\\|')} | ${verdict} |`
  })
  return ['| work | median | beside | target |', '| --- | --- | --- | --- |', ...cells].join('\n')
}
