// What packing, compressing and unpacking a layer costs, against tar and gzip on the same tree. Ours computes both digests
// as well, and runs as a bundle, each time in a process of its own, as users have it.
//
//   npx node bench/layers.ts                       a tree of 200 MB made for the purpose, 5 runs of each
//   npx node bench/layers.ts node_modules 7        a tree of yours, 7 runs of each
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { build } from 'esbuild'
import { buildDeflate } from '../scripts/build-deflate.mjs'

const [given, runs = '5'] = process.argv.slice(2)
const work = mkdtempSync(join(tmpdir(), 'bale-bench-'))
try {
  await bundle()
  compare(given === undefined ? makeTree(join(work, 'tree'), 200_000_000) : resolve(given), Number(runs))
} finally {
  rmSync(work, { recursive: true, force: true })
}

async function bundle(): Promise<void> {
  const entryPoints = [join(import.meta.dirname, 'layers-task.ts')]
  await build({ entryPoints, outfile: join(work, 'dist/task.mjs'), bundle: true, platform: 'node', format: 'esm' })
  await buildDeflate({ bundle: join(work, 'dist') })
}

function compare(tree: string, runs: number): void {
  const bale = (...args: string[]): string => [process.execPath, 'dist/task.mjs', ...args].map(quote).join(' ')
  // Each compares with the last one that is not ours. Everything is run once before: file caches are warm.
  const commands: [name: string, command: string][] = [
    ['tar | gzip -1', `tar -C ${quote(tree)} -cf - . | gzip -1 > tar.gz`],
    ['bale, gzip', bale('pack', 'gzip', tree, 'bale.gz')],
    ['bale, zstd', bale('pack', 'zstd', tree, 'bale.zst')],
    ['tar', `tar -C ${quote(tree)} -cf - . | cat > tar.tar`],
    ['bale, none', bale('pack', 'none', tree, 'bale.tar')],
    ['tar -x of gzip', 'mkdir out && tar -C out -xzf tar.gz'],
    ['bale, gzip', bale('unpack', 'gzip', 'bale.gz', 'out')],
    ['tar -x', 'mkdir out && tar -C out -xf tar.tar'],
    ['bale, none', bale('unpack', 'none', 'bale.tar', 'out')],
  ]
  const costs = commands.map((): Cost[] => [])
  // In turn, so that what else the machine does falls on all of them.
  for (let run = -1; run < runs; run++) {
    commands.forEach(([, command], i) => {
      const cost = measure(command)
      if (run >= 0) costs[i]?.push(cost)
      execFileSync('rm', ['-rf', 'out'], { cwd: work })
    })
  }
  console.log(`${megabytes('bale.tar')} MB of tar, ${availableParallelism()} processors, median of ${runs} runs`)
  console.log(
    `sizes: gzip -1 ${megabytes('tar.gz')} MB, bale gzip ${megabytes('bale.gz')} MB, zstd ${megabytes('bale.zst')} MB\n`,
  )
  console.log('                     wall s   ÷ tar    CPU s   ÷ tar   peak MB')
  let base: Cost | undefined
  commands.forEach(([name], i) => {
    const cost = median(costs[i] as Cost[])
    if (name.startsWith('tar')) base = cost
    const ratio = (key: 'wall' | 'cpu'): string => (cost[key] / (base as Cost)[key]).toFixed(2).padStart(8)
    const peak = cost.peak === undefined ? '' : String(cost.peak).padStart(10)
    console.log(
      name.padEnd(18),
      cost.wall.toFixed(2).padStart(8),
      ratio('wall'),
      cost.cpu.toFixed(2).padStart(8),
      ratio('cpu'),
      peak,
    )
  })
}

interface Cost {
  wall: number
  cpu: number
  /** Resident megabytes, where the program tells. */
  peak: number | undefined
}

function measure(command: string): Cost {
  const script = `TIMEFORMAT='%R %U %S'; time { ${command}; }`
  const output = execFileSync('bash', ['-c', `{ ${script}; } 2>&1`], { cwd: work, encoding: 'utf8' })
    .trim()
    .split('\n')
  const [wall, user, system] = (output.at(-1) as string).split(' ').map(Number) as [number, number, number]
  return { wall, cpu: user + system, peak: output.length > 1 ? Number(output[0]) : undefined }
}

function median(costs: Cost[]): Cost {
  const of = (key: 'wall' | 'cpu'): number =>
    costs.map(cost => cost[key]).sort((a, b) => a - b)[costs.length >> 1] as number
  return { wall: of('wall'), cpu: of('cpu'), peak: costs.map(cost => cost.peak).sort()[costs.length >> 1] }
}

function megabytes(name: string): number {
  return Math.round(statSync(join(work, name)).size / 1e6)
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

/** Text with the statistics of source code, and a fifth of noise: files of 1 kB to 1 MB, most of them small. */
function makeTree(root: string, bytes: number): string {
  let state = 42
  const random = (n: number): number => (state = (state * 48_271) % 2_147_483_647) % n
  const word = (): string => Array.from({ length: 2 + random(9) }, () => String.fromCharCode(97 + random(26))).join('')
  const words = Array.from({ length: 4000 }, word)
  const separators = [' ', ' ', ' ', '.', '(', ') ', ', ', ';\n', ' = ', '\n  ']
  const text = (length: number): Buffer => {
    const parts: string[] = []
    for (let size = 0; size < length; size += parts.at(-1)?.length ?? 0) {
      // A few words are most of them.
      parts.push((words[Math.floor(words.length * (random(1000) / 1000) ** 3)] as string) + separators[random(10)])
    }
    return Buffer.from(parts.join(''))
  }
  const noise = Buffer.from(Array.from({ length: 1_000_000 }, () => random(256)))
  for (let i = 0, total = 0; total < bytes; i++) {
    const size = Math.floor(1000 * 1000 ** ((random(1000) / 1000) ** 2))
    const content = i % 5 === 0 ? noise.subarray(random(1_000_000 - size)).subarray(0, size) : text(size)
    const path = join(root, `package-${i % 97}`, `lib-${i % 13}`, `file-${i}.js`)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, content)
    total += content.length
  }
  return root
}
