import { type Component, packageUrl } from '../sdk/index.ts'

/**
 * The modules in programs, from the output of `go version -m`, which prints the linker's record: a line `dep PATH VERSION SUM` for
 * each, followed by `=> PATH VERSION SUM` if another module replaces it.
 */
export function readBuildInfo(output: string): Component[] {
  const found: Component[] = []
  for (const line of output.split('\n')) {
    const program = /^\S.*: go(\d\S*)/.exec(line)
    if (program?.[1] !== undefined) found.push(standardLibrary(program[1]))
    const [, kind, path, version] = /^\t(dep|=>)\t(\S+)\t(\S+)/.exec(line) ?? []
    if (path === undefined || version === undefined) continue
    if (kind === '=>') found.pop()
    found.push({ name: path, version, purl: packageUrl('golang', path, version) })
  }
  return found
}

function standardLibrary(version: string): Component {
  return {
    name: 'stdlib',
    version,
    purl: packageUrl('golang', 'stdlib', version),
    license: 'BSD-3-Clause',
    cpe: `cpe:2.3:a:golang:go:${version}:*:*:*:*:*:*:*`,
  }
}
