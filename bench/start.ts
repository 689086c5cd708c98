// What a build costs that has nothing to do: `bale build` of an unchanged application of two lines, as a whole process.
// Beside it an empty Node script, which such a build starts four times: the program, detector, builder and a buildpack.
//
//   npx node bench/start.ts            9 runs of each
//   npx node bench/start.ts 21
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'

const runs = Number(process.argv[2] ?? 9)
const root = join(import.meta.dirname, '..')
const work = mkdtempSync(join(tmpdir(), 'bale-bench-'))
try {
  writeFileSync(join(work, 'empty.cjs'), '')
  const build = ['build', 'bale-bench-start', '--path', join(root, 'examples/procfile'), '--quiet']
  const commands: [name: string, argv: [string, ...string[]]][] = [
    ['an empty Node script', [process.execPath, join(work, 'empty.cjs')]],
    ['bale --version', [join(root, 'bin/bale'), '--version']],
    ['bale build, unchanged', [join(root, 'bin/bale'), ...build]],
  ]
  // The first round bundles, makes the stack and warms the caches. In turn, so that the machine's other work falls on all.
  const times = commands.map((): number[] => [])
  for (let run = -1; run < runs; run++) {
    commands.forEach(([name, argv], i) => {
      const milliseconds = measure(name, argv)
      if (run >= 0) times[i]?.push(milliseconds)
    })
  }
  console.log(`median and best of ${runs} runs, as whole processes\n`)
  const base = median(times[0] as number[])
  commands.forEach(([name], i) => {
    const own = times[i] as number[]
    const ratio = (median(own) / base).toFixed(1).padStart(6)
    console.log(name.padEnd(24), show(median(own)), show(Math.min(...own)), ratio, '× Node')
  })
} finally {
  spawnSync(join(root, 'bin/bale'), ['image', 'rm', 'bale-bench-start'])
  rmSync(work, { recursive: true, force: true })
}

function measure(name: string, [program, ...args]: [string, ...string[]]): number {
  const start = performance.now()
  const { status, stderr } = spawnSync(program, args, { cwd: work, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${name} ended with ${status}: ${stderr}`)
  return performance.now() - start
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] as number
}

function show(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(3)} s`.padStart(10)
}
