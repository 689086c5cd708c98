import { join } from 'node:path'
import { DebianArchive } from '../debian/archive.ts'
import { noNativePackages, provideNativePackages } from '../debian/native-libraries.ts'
import { provideSharedLibraries } from '../debian/shared-libraries.ts'
import { type BuildContext, firstSetting, splitWords, withTempDir } from '../sdk/index.ts'
import type { GoCommand } from './command.ts'
import { nativePackages } from './native.ts'
import type { GoProgram } from './programs.ts'

type Env = Readonly<Record<string, string>>

/** The sources of the programs, beyond Go's library. */
export interface Sources {
  /** Packages that contain C. */
  readonly cgo: readonly string[]
  /** Libraries that they request from pkg-config. */
  readonly pkgConfig: readonly string[]
  /** Files that are embedded into a program, as absolute paths. */
  readonly embedded: readonly string[]
  /** A program may start other programs, which the image has to contain. */
  readonly startsPrograms: boolean
}

/** Reads every package of the programs, which downloads missing modules. */
export async function readSources(go: GoCommand, programs: readonly GoProgram[]): Promise<Sources> {
  const format =
    '{{if eq .ImportPath "os/exec"}}exec\t{{.ImportPath}}\n{{end}}' +
    '{{if not .Standard}}{{if .CgoFiles}}cgo\t{{.ImportPath}}\n{{end}}{{range .CgoPkgConfig}}lib\t{{.}}\n{{end}}' +
    '{{if .Module}}{{if .Module.Main}}{{range .EmbedFiles}}embed\t{{$.Dir}}/{{.}}\n{{end}}{{end}}{{end}}{{end}}'
  const lines: string[] = []
  for (const packages of groups(programs)) {
    // The list is made with cgo enabled, to see which packages use it.
    const output = await go.run(['list', '-deps', '-f', format, ...packages], {
      env: { CGO_ENABLED: '1' },
      quiet: true,
    })
    lines.push(...output.split('\n'))
  }
  const of = (kind: string) => [
    ...new Set(lines.filter(line => line.startsWith(`${kind}\t`)).map(line => line.slice(kind.length + 1))),
  ]
  return {
    cgo: of('cgo'),
    pkgConfig: of('lib').filter(name => !name.startsWith('-')),
    embedded: of('embed'),
    startsPrograms: of('exec').length > 0,
  }
}

/** Groups packages for a list. A single file is a package of its own, and cannot be part of a list. */
function groups(programs: readonly GoProgram[]): string[][] {
  const files = programs.filter(program => program.package.endsWith('.go')).map(program => [program.package])
  const packages = programs.filter(program => !program.package.endsWith('.go')).map(program => program.package)
  return packages.length > 0 ? [packages, ...files] : files
}

/** Whether programs are compiled with cgo: the user's setting decides, else whether they contain C. */
function usesCgo(env: Env, { cgo }: Sources): boolean {
  return (firstSetting(env, 'CGO_ENABLED')?.value ?? (cgo.length > 0 ? '1' : '0')) === '1'
}

/** Whether programs need nothing of the run image: they are statically linked, and start no other programs. */
export function needsNothingBesides(env: Env, sources: Sources): boolean {
  return !usesCgo(env, sources) && !sources.startsPrograms
}

/** Compiles the programs into `dir`, and provides the shared libraries that they are linked with. */
export async function compile(
  context: BuildContext,
  go: GoCommand,
  programs: readonly GoProgram[],
  sources: Sources,
  dir: string,
): Promise<void> {
  const { env, log } = context
  const { cgo, pkgConfig } = sources
  const isOn = usesCgo(env, sources)
  if (cgo.length > 0) log.info(`${isOn ? 'With' : 'Without'} cgo, which ${cgo.slice(0, 3).join(', ')} uses`)
  const wanted = isOn ? nativePackages(pkgConfig) : []
  await withTempDir(async temp => {
    const archive = wanted.length > 0 ? await DebianArchive.open(context, temp) : undefined
    const native = archive ? await provideNativePackages(context, archive, wanted) : noNativePackages
    const flags = buildFlags(env, go.toolchain.version)
    await log.step(`Running go build ${[...flags, ...programs.map(p => p.package)].join(' ')}`, async () => {
      // One after the other: shared packages are compiled once, and each file gets its own name.
      for (const program of programs) {
        const args = ['build', '-o', join(dir, program.name), ...flags, program.package]
        await go.run(args, { env: { ...native.env, CGO_ENABLED: isOn ? '1' : '0' } })
      }
    })
    if (!isOn || cgo.length === 0) return
    await provideSharedLibraries(
      context,
      programs.map(({ name }) => join(dir, name)),
      native,
      archive,
    )
  })
}

/**
 * Flags with which the bytes depend only on the sources (`-trimpath`, no state of a repository). They also leave out data that only a
 * debugger reads, unless the user's GOFLAGS say otherwise. The user's own flags follow, and the last flag wins.
 */
function buildFlags(env: Env, version: string): string[] {
  const goflags = env['GOFLAGS'] ?? ''
  const has = (flag: string) => new RegExp(`(^|\\s)--?${flag}(=|\\s|$)`).test(goflags)
  const minor = Number(version.split('.')[1])
  const flags = [
    ...(has('trimpath') ? [] : ['-trimpath']),
    ...(has('buildvcs') || minor < 18 ? [] : ['-buildvcs=false']),
  ]
  const ldflags = firstSetting(env, 'BP_GO_BUILD_LDFLAGS', 'GOOGLE_GOLDFLAGS')?.value
  const symbol = firstSetting(env, 'GO_LINKER_SYMBOL')?.value
  const stamp = symbol === undefined ? [] : [`-X ${symbol}=${env['GO_LINKER_VALUE'] ?? ''}`]
  if (!has('ldflags') || ldflags !== undefined) {
    flags.push(`-ldflags=${['-s -w', ...stamp, ...(ldflags === undefined ? [] : [ldflags])].join(' ')}`)
  }
  const gcflags = firstSetting(env, 'GOOGLE_GOGCFLAGS')?.value
  if (gcflags !== undefined) flags.push(`-gcflags=${gcflags}`)
  const own = firstSetting(env, 'BP_GO_BUILD_FLAGS')
  return own === undefined ? flags : [...flags, ...splitWords(own.value, own.name)]
}
