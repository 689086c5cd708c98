// What images of test/apps cost: their size, the time of builds and of the start. `npm run figures` prints the table; `-- --write` puts it
// into docs/figures.md, `-- node- go-module` measures the apps whose names begin so. Run nothing else on the machine at that time.
import { execFileSync } from 'node:child_process'
import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { chooseApps, currentLanding, readApps, type TestApp } from '../test/helpers/apps.ts'
import { ask, bale, freePort, root, startBale } from '../test/helpers/bale.ts'
import { type ImageFiles, readImageFiles } from '../test/helpers/image-files.ts'

interface Figures {
  readonly title: string
  readonly image: ImageFiles
  /** Seconds. */
  readonly first: number
  readonly changed: number
  /** Layers that the changed build makes anew, and their bytes. */
  readonly fresh: { readonly layers: number; readonly bytes: number }
  /** Seconds from `bale run` to the first answer; undefined for a program that answers nothing. */
  readonly answer: number | undefined
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { write: { type: 'boolean' } } })
const measured = readApps().filter(({ expected }) => expected.figures !== undefined)
const apps = chooseApps(measured, positionals.join() || 'all', currentLanding)
const load = loadavg()[0] ?? 0
// The machine's images of stacks are made before the clock runs.
await build(join(root, 'test/apps/none'), 'bale-figures', {}, 20)

const rows: Figures[] = []
for (const app of apps) {
  process.stderr.write(`${app.name}\n`)
  rows.push(await measure(app))
}
const table = markdown(rows)
if (values.write) writeInto(join(root, 'docs/figures.md'), table)
else console.log(table)

async function measure({ name, dir, expected }: TestApp): Promise<Figures> {
  const { title, change } = expected.figures ?? { title: name, change: '' }
  const image = `bale-figures-${name}`
  const work = mkdtempSync(join(tmpdir(), 'bale-figures-'))
  try {
    const source = join(work, 'app')
    cpSync(dir, source, { recursive: true })
    const env = { ...expected.env, XDG_CACHE_HOME: join(work, 'cache') }
    await bale(['image', 'rm', image])
    const first = await build(source, image, env)
    const before = await readImageFiles(image)
    appendFileSync(join(source, change), comment(change))
    const changed = await build(source, image, env)
    const known = new Set(before.layers.map(({ digest }) => digest))
    const fresh = (await readImageFiles(image)).layers.filter(({ digest }) => !known.has(digest))
    const bytes = fresh.reduce((sum, { size }) => sum + size, 0)
    const answer = await timeToAnswer(image, expected)
    return { title, image: before, first, changed, fresh: { layers: fresh.length, bytes }, answer }
  } finally {
    await bale(['image', 'rm', image])
    rmSync(work, { recursive: true, force: true })
  }
}

/** Builds, and returns the seconds it took. */
async function build(source: string, image: string, env: Readonly<Record<string, string>>, code = 0): Promise<number> {
  const { XDG_CACHE_HOME, ...variables } = env
  const options = Object.entries(variables).flatMap(([key, value]) => ['--env', `${key}=${value}`])
  const started = performance.now()
  const ended = await bale(
    ['build', image, '--path', source, ...options],
    XDG_CACHE_HOME ? { env: { XDG_CACHE_HOME } } : {},
  )
  if (ended.code !== code) throw new Error(`bale build ended with ${ended.code}:\n${ended.output}`)
  return (performance.now() - started) / 1000
}

async function timeToAnswer(image: string, { http, process: type }: TestApp['expected']): Promise<number | undefined> {
  if (http === undefined) return undefined
  const port = await freePort()
  const started = performance.now()
  const running = startBale(['run', image, '--env', `PORT=${port}`, ...(type === undefined ? [] : ['--process', type])])
  try {
    await ask(`http://127.0.0.1:${port}${http.path}`, () => running.child.exitCode === null)
    return (performance.now() - started) / 1000
  } finally {
    running.child.kill('SIGTERM')
    await running.ended
  }
}

/** A line that changes the file but not what the program does. */
function comment(file: string): string {
  const ending = extname(file)
  if (['.ex', '.exs', '.py', '.rb', '.sh', '.toml', '.txt', '.yml'].includes(ending)) return '\n# changed\n'
  if (['.html', '.md', '.astro', '.vue', '.svelte'].includes(ending)) return '\n<!-- changed -->\n'
  return '\n// changed\n'
}

function markdown(all: readonly Figures[]): string {
  const megabytes = (bytes: number) => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)
  const lines = all.map(({ title, image, first, changed, fresh, answer }) => {
    const cells = [
      title,
      `${megabytes(image.compressed)} MB`,
      `${megabytes(image.unpacked)} MB`,
      image.layers.length,
      `${first.toFixed(1)} s`,
      `${changed.toFixed(1)} s`,
      `${fresh.layers}, ${megabytes(fresh.bytes)} MB`,
      answer === undefined ? '' : `${answer.toFixed(2)} s`,
    ]
    return `| ${cells.join(' | ')} |`
  })
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim()
  const machine = `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown'}`
  return [
    '| application | compressed | unpacked | layers | first build | one line changed | new layers | first answer |',
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...lines,
    '',
    `One run each, ${new Date().toISOString().slice(0, 10)}, ${machine}, load ${load.toFixed(1)} at the start, commit ${commit}.`,
  ].join('\n')
}

/** Replaces the text between the two comments. */
function writeInto(file: string, text: string): void {
  const [before, after] = ['<!-- npm run figures -- --write -->', '<!-- end -->']
  const document = readFileSync(file, 'utf8')
  const start = document.indexOf(before)
  const end = document.indexOf(after)
  if (start < 0 || end < start) throw new Error(`${file} lacks ${before} or ${after}`)
  writeFileSync(file, `${document.slice(0, start + before.length)}\n${text}\n${document.slice(end)}`)
}
