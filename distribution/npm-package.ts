// npm's `prepack`: makes the files that only the published package needs: launchers for both architectures,
// the declarations of the three entry points, and the licences of bundled packages.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { bundle } from '../scripts/bundle.mjs'
import { licenses, npmPackages } from './sbom.ts'

const root = dirname(import.meta.dirname)

const entryPoints = ['lifecycle/index.ts', 'buildpacks/sdk/index.ts', 'buildpacks/sdk/testing.ts']

if (import.meta.main) {
  for (const arch of ['amd64', 'arm64']) execFileSync(join(root, 'launcher', 'build'), [arch], { stdio: 'inherit' })
  const sources = await bundle()
  declareTypes(join(root, 'dist', 'types'))
  writeLicenses(sources, join(root, 'dist', 'LICENSES.txt'))
}

/** Writes only the declarations that are reachable from the entry points, since a consumer's compiler checks each. */
function declareTypes(out: string): void {
  mkdirSync(join(root, 'dist'), { recursive: true })
  const work = mkdtempSync(join(root, 'dist', '.types-'))
  try {
    const config = join(work, 'tsconfig.json')
    const all = join(work, 'all')
    const options = {
      extends: '../../tsconfig.json',
      compilerOptions: {
        noEmit: false,
        incremental: false,
        tsBuildInfoFile: null,
        emitDeclarationOnly: true,
        declaration: true,
        rootDir: '../..',
        outDir: 'all',
      },
      // The ambient declarations of some libraries are in separate files.
      include: ['../../lifecycle/**/*.d.ts'],
      files: entryPoints.map(file => `../../${file}`),
    }
    writeFileSync(config, JSON.stringify(options))
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    execFileSync(process.execPath, [tsc, '-p', config], { stdio: ['ignore', 'inherit', 'inherit'], cwd: root })
    const wanted = join(work, 'public')
    const entries = entryPoints.map(file => join(all, declarationOf(file)))
    // They use Node's types, which TypeScript 6 does not include by default.
    for (const file of entries) writeFileSync(file, `/// <reference types="node" />\n${readFileSync(file, 'utf8')}`)
    for (const file of reachable(entries)) cpSync(file, join(wanted, relative(all, file)), { recursive: true })
    rmSync(out, { recursive: true, force: true })
    renameSync(wanted, out)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function declarationOf(file: string): string {
  return file.replace(/\.ts$/, '.d.ts')
}

/** The declarations that these files import, directly or indirectly. */
function reachable(files: readonly string[]): Set<string> {
  const found = new Set(files)
  for (const file of found) {
    for (const [, from, dynamic] of readFileSync(file, 'utf8').matchAll(
      /\bfrom\s*["'](\.[^"']*)["']|\bimport\(["'](\.[^"']*)["']\)/g,
    ))
      found.add(resolve(dirname(file), declarationOf((from ?? dynamic) as string)))
  }
  return found
}

function writeLicenses(sources: readonly string[], file: string): void {
  const names = ['LICENSE', 'LICENSE.md', 'LICENSE.txt', 'license']
  const sections = npmPackages(sources, root).map(({ dir, component }) => ({
    title: component.name,
    files: names.map(name => join(root, dir, name)),
  }))
  writeFileSync(file, licenses(sections))
}
