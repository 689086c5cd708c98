// Measures a build that has nothing to do: `bale build` of an unchanged application of two lines, as a whole process.
// Compares it with an empty Node script, since such a build starts Node four times: program, detector, builder, buildpack.
// After `npm run dist`, also measures phase binaries: printing a version, and the detection of a trivial application.
//
//   npx node bench/start.ts            9 runs of each
//   npx node bench/start.ts 21
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
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
    ...phases(),
  ]
  // The first round bundles, makes the stack and warms the caches. The tasks run in turn, so that other load affects all.
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

/** Phase binaries of the distribution, if it is there, as an ordinary user, which detector requires. */
function phases(): [string, [string, ...string[]]][] {
  const folder = join(root, 'dist', process.arch === 'arm64' ? 'linux-arm64' : 'linux-amd64', 'lifecycle')
  if (!existsSync(folder)) return []
  for (const dir of ['buildpacks/yes/1.0.0/bin', 'layers', 'platform', 'app'])
    mkdirSync(join(work, dir), { recursive: true })
  const buildpack = join(work, 'buildpacks/yes/1.0.0')
  writeFileSync(
    join(buildpack, 'buildpack.toml'),
    'api = "0.8"\n[buildpack]\nid = "yes"\nversion = "1.0.0"\n[[stacks]]\nid = "*"\n',
  )
  writeFileSync(join(buildpack, 'bin/detect'), '#!/bin/sh\n')
  writeFileSync(join(work, 'order.toml'), '[[order]]\n[[order.group]]\nid = "yes"\nversion = "1.0.0"\n')
  const at = { layers: 'layers', order: 'order.toml', buildpacks: 'buildpacks', platform: 'platform', app: 'app' }
  const flags = Object.entries(at).map(([name, path]) => `-${name}=${join(work, path)}`)
  const prefix = ['env', 'CNB_PLATFORM_API=0.9'] as const
  const asUser = process.getuid?.() === 0 ? ['setpriv', '--reuid=1000', '--regid=1000', '--clear-groups'] : []
  chmodSync(join(buildpack, 'bin/detect'), 0o755)
  chmodSync(work, 0o755)
  if (asUser.length > 0) chownSync(join(work, 'layers'), 1000, 1000)
  return [
    ['analyzer -version', [...prefix, join(folder, 'analyzer'), '-version']],
    ['detector, trivial', [...prefix, ...asUser, join(folder, 'detector'), ...flags]],
  ]
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
