import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { root } from './bale.ts'
import { missing } from './docker-registry.ts'
import type { Available } from './skip.ts'

const run = promisify(execFile)

export interface GoPrograms {
  /** Of the directory in node_modules/.cache, with the version of what is made. */
  readonly name: string
  /** By the program's name: the package that it is, or one of this checkout's Go files. */
  readonly programs: Readonly<Record<string, string>>
  /** What `go get` takes: MODULE@VERSION. */
  readonly modules: readonly string[]
}

/** The directory with programs that the machine's Go made, which is kept in node_modules/.cache. */
export async function goPrograms({ name, programs, modules }: GoPrograms): Promise<Available<string>> {
  const absent = missing('go')
  if (absent !== undefined) return { state: 'missing', reason: absent }
  const own = Object.values(programs).filter(source => source.endsWith('.go'))
  const made = [programs, modules, own.map(source => readFileSync(join(root, source), 'utf8'))]
  const key = createHash('sha256').update(JSON.stringify(made)).digest('hex').slice(0, 12)
  const dir = join(root, 'node_modules', '.cache', name, key)
  const names = Object.keys(programs)
  if (names.every(program => existsSync(join(dir, program)))) return { state: 'available', value: dir }
  const work = await mkdtemp(join(tmpdir(), 'bale-go-'))
  try {
    // A file is a package of the module that is made for it.
    const packages = await Promise.all(
      Object.entries(programs).map(async ([program, source]) => {
        if (!source.endsWith('.go')) return [program, source] as const
        await mkdir(join(work, program))
        await copyFile(join(root, source), join(work, program, 'main.go'))
        return [program, `./${program}`] as const
      }),
    )
    const foreign = packages.filter(([, path]) => !path.startsWith('.')).map(([, path]) => `import _ "${path}"\n`)
    await writeFile(join(work, 'go.mod'), 'module test\n\ngo 1.24\n')
    await writeFile(join(work, 'tools.go'), `//go:build tools\n\npackage test\n\n${foreign.join('')}`)
    const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=mod' }
    const go = (...args: string[]) => run('go', args, { cwd: work, env, maxBuffer: 1 << 26 })
    await go('get', ...modules)
    for (const [program, path] of packages)
      await go('build', '-trimpath', '-ldflags=-s -w', '-o', join(work, `${program}.made`), path)
    await mkdir(dir, { recursive: true })
    for (const program of names) {
      // Renamed into place: another test may be making the same.
      await copyFile(join(work, `${program}.made`), join(dir, `${program}.${process.pid}`))
      await rename(join(dir, `${program}.${process.pid}`), join(dir, program))
    }
    return { state: 'available', value: dir }
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** Where a module's files are. */
export async function goModule(module: string): Promise<string> {
  const work = await mkdtemp(join(tmpdir(), 'bale-go-'))
  try {
    await writeFile(join(work, 'go.mod'), 'module test\n')
    const { stdout } = await run('go', ['mod', 'download', '-json', module], { cwd: work })
    return (JSON.parse(stdout) as { Dir: string }).Dir
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}
