import { type Component, packageUrl } from '../sdk/index.ts'

/**
 * The modules in programs, as `go version -m` prints what the linker wrote into them: a line `dep PATH VERSION SUM` for each, and
 * `=> PATH VERSION SUM` after one that another stands in for.
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
