// Measures Bale beside tar and other builders on the same machine: medians, and ratios within one run. Prints progress on
// stderr. Deletes its files only at the end or after Ctrl-C (measure.ts says why).
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
import { startDockerRegistry } from '../test/helpers/docker-registry.ts'
import type { Bench } from './bench.ts'
import { buildRows } from './build.ts'
import { daemonRows } from './daemon.ts'
import { exportRows } from './export.ts'
import { type Row, progress, quote, stopping } from './measure.ts'
import { javaRows } from './java.ts'
import { jobRows } from './jobs.ts'
import { levelRows } from './levels.ts'
import { lifecycleRows } from './lifecycle.ts'
import { memoryRows } from './memory.ts'
import { rebaseRows } from './rebase.ts'
import { restoreRows } from './restore.ts'
import { sharingRows } from './sharing.ts'
import { type Tree, makeTree } from './tree.ts'

const pieces: Record<string, (bench: Bench) => Row[] | Promise<Row[]>> = {
  export: exportRows,
  restore: restoreRows, // before other builders, which delete
  build: buildRows,
  rebase: rebaseRows,
  memory: memoryRows,
  daemon: daemonRows,
  jobs: jobRows,
  lifecycle: lifecycleRows,
  java: javaRows,
  sharing: sharingRows,
  levels: levelRows,
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
    help: { type: 'boolean', short: 'h', default: false },
  },
})
if (values.help) {
  process.stdout.write(`npm run bench -- [PIECE…] [--small | --full] [--runs N] [--json | --markdown]
Pieces: ${Object.keys(pieces).join(', ')}
`)
  process.exit(0)
}
const chosen = Object.keys(pieces).filter(name => positionals.length === 0 || positionals.includes(name))
const unknown = positionals.find(name => !(name in pieces))
if (unknown !== undefined) throw new Error(`there is no piece ${unknown}, but ${Object.keys(pieces).join(', ')}`)
const runs = Number(values.runs)
if (!(runs >= 1)) throw new Error(`--runs is to be a number, not ${values.runs}`)

const dir = mkdtempSync(join(tmpdir(), 'bale-bench-'))
process.env['TMPDIR'] = dir // also for what is started here, and if it cannot clean up itself
process.on('exit', () => rmSync(dir, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    progress('stopping, and cleaning up')
    process.exitCode = 130
    stopping.abort()
  })

let tree: Tree | undefined
try {
  await measureAll()
} catch (error) {
  if (!stopping.signal.aborted) throw error
}

async function measureAll(): Promise<void> {
  await using ends = new AsyncDisposableStack()
  let registry: Promise<string> | undefined
  const bench: Bench = {
    dir,
    root,
    runs,
    full: values.full,
    tree: () => (tree ??= makeTree(join(root, 'node_modules'), join(dir, 'tree'), values.small ? 1 : 4)),
    // Compiled once, as in the program that users install.
    task: (...args) =>
      [
        `NODE_COMPILE_CACHE=${quote(join(dir, 'compiled'))}`,
        ...[process.execPath, join(dir, 'dist/task.mjs'), ...args].map(quote),
      ].join(' '),
    registry: () => (registry ??= startRegistry(ends)),
    ends,
  }
  await bundle()
  const rows: Row[] = []
  for (const name of chosen) {
    progress(name)
    const found = (await pieces[name]?.(bench)) ?? []
    rows.push(...found)
    if (!values.json && !values.markdown) console.log(text(found))
  }
  if (values.json) console.log(JSON.stringify({ ...conditions(), rows }, undefined, 2))
  else if (values.markdown) console.log(`${markdown(rows)}\n\n${summary()}`)
  else console.log(summary())
  progress('cleaning up')
}

async function startRegistry(ends: AsyncDisposableStack): Promise<string> {
  const registry = await startDockerRegistry({ secure: false })
  ends.defer(() => registry.close())
  return registry.host
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

function conditions() {
  return {
    date: new Date().toISOString().slice(0, 10),
    runs,
    processors: `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown'}`,
    node: process.version,
    commit: execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim(),
    load: loadavg().map(load => Number(load.toFixed(1))),
    ...(tree && { tree: { files: tree.files, bytes: tree.bytes } }),
  }
}

function summary(): string {
  const { date, processors, node, commit, load } = conditions()
  const of = tree && `, of a tree of ${tree.files} files and ${Math.round(tree.bytes / 1e6)} MB`
  return `Medians of ${runs}${of ?? ''}; ${date}, ${processors}, Node ${node}, commit ${commit}, load ${load.join(' ')}.`
}

function text(rows: readonly Row[]): string {
  const lines = rows.map(row => {
    const figures =
      row.count === undefined ? [row.seconds?.toFixed(2), row.cpuSeconds?.toFixed(2), row.peakMB] : [row.count]
    const columns = figures.map(figure => String(figure ?? '').padStart(9)).join('')
    return `${row.name.padEnd(60)}${columns}   ${beside(row).padEnd(40)} ${verdict(row, 'NOT MET')}`
  })
  const head = `${(rows[0]?.piece ?? '').padEnd(60)}   wall s    CPU s  peak MB`
  return [head, ...lines, ''].join('\n')
}

function markdown(rows: readonly Row[]): string {
  const lines = rows.map(row => {
    const { name, seconds, peakMB, by, count } = row
    const figure = count ?? (by === 'peakMB' ? `${peakMB} MB` : seconds === undefined ? '' : `${seconds.toFixed(2)} s`)
    const cells = [name, figure, beside(row), verdict(row, '**not met**')]
    return `| ${cells.map(cell => String(cell).replaceAll('|', '\\|')).join(' | ')} |`
  })
  return ['| work | median | beside | target |', '| --- | --- | --- | --- |', ...lines].join('\n')
}

function beside({ ratio, against, note = '' }: Row): string {
  return ratio === undefined ? note : `${ratio.toFixed(2)} × ${against}`
}

function verdict({ target, atLeast, met }: Row, unmet: string): string {
  if (met === undefined) return ''
  return `${atLeast === undefined ? `≤ ${target}` : `≥ ${atLeast}`}: ${met ? 'met' : unmet}`
}
