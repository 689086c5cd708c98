// `npm run fuzz -- --seconds N`: runs libFuzzer on the launcher's parsers, each for N seconds (10 by default), concurrently.
// Their findings stay in launcher/dist/corpus-*, where the next run starts.
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fail, root } from './setup.mjs'

const { seconds } = parseArgs({ options: { seconds: { type: 'string', default: '10' } } }).values
if (!/^[1-9]\d{0,5}$/.test(seconds)) fail(`--seconds ${seconds}: not a whole number from 1 on.`, 'Say --seconds 60.')
const launcher = join(root, 'launcher')
const dist = join(launcher, 'dist')

try {
  execFileSync(join(launcher, 'build'), ['fuzz'], { stdio: 'inherit' })
} catch {
  fail('The fuzzers were not built.', 'See what launcher/build says above.')
}
const results = await Promise.all(['metadata', 'execd'].map(fuzz))
process.exit(results.every(Boolean) ? 0 : 1)

async function fuzz(target) {
  const corpus = join(dist, `corpus-${target}`)
  mkdirSync(corpus, { recursive: true })
  const options = {
    max_total_time: seconds,
    max_len: 1 << 14,
    timeout: 10, // for one input
    rss_limit_mb: 1024,
    dict: join(launcher, 'fuzz.dict'),
    artifact_prefix: join(dist, `${target}-`),
    print_final_stats: 1,
  }
  const argv = [...Object.entries(options).map(([name, value]) => `-${name}=${value}`), corpus]
  const child = spawn(join(dist, `fuzz-${target}`), [...argv, join(launcher, 'fuzz_seeds')], {
    stdio: ['ignore', 'inherit', 'pipe'],
  })
  let end = ''
  child.stderr.setEncoding('utf8').on('data', text => (end = (end + text).slice(-10_000)))
  const status = await new Promise(resolve => child.once('close', (code, signal) => resolve(code ?? signal)))
  const inputs = Number(/^stat::number_of_executed_units: (\d+)$/m.exec(end)?.[1] ?? 0)
  const isGood = status === 0 && inputs > 0
  console.log(`${isGood ? '' : end}fuzz ${target}: ${inputs} inputs, ${isGood ? 'no fault' : `ended with ${status}`}`)
  return isGood
}
