import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { root } from './bale.ts'
import { missing } from './docker-registry.ts'
import type { Available } from './skip.ts'

const run = promisify(execFile)
const version = 'v0.21.0'
const programs = ['lifecycle', 'launcher'] as const

/** Phases that the program `lifecycle` is, by the name under which it is called. */
export const goPhases = ['analyzer', 'detector', 'restorer', 'builder', 'exporter', 'creator', 'rebaser'] as const

/**
 * The directory with the programs of the Go lifecycle, made from its module with the machine's Go and kept in node_modules/.cache: a
 * minute and a half of CPU time the first time.
 */
export async function goLifecycle(): Promise<Available<string>> {
  const absent = missing('go')
  if (absent !== undefined) return { state: 'missing', reason: absent }
  const dir = join(root, 'node_modules', '.cache', 'go-lifecycle', version)
  if (programs.every(name => existsSync(join(dir, name)))) return { state: 'available', value: dir }
  const work = await mkdtemp(join(tmpdir(), 'bale-go-lifecycle-'))
  try {
    const imports = programs.map(name => `import _ "github.com/buildpacks/lifecycle/cmd/${name}"\n`).join('')
    await writeFile(join(work, 'go.mod'), 'module interop\n\ngo 1.24\n')
    await writeFile(join(work, 'tools.go'), `//go:build tools\n\npackage interop\n\n${imports}`)
    const go = (...args: string[]) =>
      run('go', args, { cwd: work, env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=mod' } })
    await go('get', ...programs.map(name => `github.com/buildpacks/lifecycle/cmd/${name}@${version}`))
    for (const name of programs)
      await go('build', '-trimpath', '-ldflags=-s -w', '-o', name, `github.com/buildpacks/lifecycle/cmd/${name}`)
    await mkdir(dir, { recursive: true })
    for (const name of programs) {
      // Renamed into place: another test may be making the same.
      await copyFile(join(work, name), join(dir, `${name}.${process.pid}`))
      await rename(join(dir, `${name}.${process.pid}`), join(dir, name))
    }
    return { state: 'available', value: dir }
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}
