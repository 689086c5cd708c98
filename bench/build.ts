import { mkdirSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { startDockerRegistry } from '../test/helpers/docker-registry.ts'
import type { Bench } from './index.ts'
import { type Row, compare, quote, shell } from './measure.ts'

/** Makes a layer of a tree that is beside it, and leaves one that was restored alone but for one file. */
const buildpackToml = `api = "0.12"
[buildpack]
id = "bench/tree"
version = "1.0.0"
[[targets]]
os = "linux"
`
const binBuild = `#!/bin/sh
set -eu
test -e "$1/tree" || cp -a "$CNB_BUILDPACK_DIR/tree" "$1/tree"
test -z "\${BENCH_EDIT:-}" || echo "$BENCH_EDIT" >>"$1/tree/copy-0/typescript/package.json"
printf '[types]\\nlaunch = true\\ncache = true\\n' >"$1/tree.toml"
`

/** Whole builds with a layer of that tree, pushed to a registry on this machine. */
export async function buildRows({ dir, runs, tree, root }: Bench): Promise<Row[]> {
  const builder = join(dir, 'builder')
  const registry = await startDockerRegistry({ secure: false })
  try {
    mkdirSync(join(builder, 'bin'), { recursive: true })
    mkdirSync(join(dir, 'app'), { recursive: true })
    writeFileSync(join(dir, 'app/hello.txt'), 'hello')
    writeFileSync(join(builder, 'buildpack.toml'), buildpackToml)
    writeFileSync(join(builder, 'bin/detect'), '#!/bin/sh\nexit 0\n', { mode: 0o755 })
    writeFileSync(join(builder, 'bin/build'), binBuild, { mode: 0o755 })
    shell(`cp -al ${quote(tree().path)} builder/tree`, dir)
    const stack = join(root, 'stacks/trixie')
    const toml = `[[buildpacks]]\nuri = "."\n[[order]]\n[[order.group]]\nid = "bench/tree"\n[stack]\nuri = "${stack}"\n`
    writeFileSync(join(builder, 'builder.toml'), toml)
    // The stack is the user's; caches are the bench's own.
    const data = process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local/share')
    const env = `XDG_DATA_HOME=${quote(data)} XDG_CACHE_HOME=${quote(join(dir, 'cache'))}`
    const bale = (args: string, level = '--quiet'): string =>
      `${env} ${quote(join(root, 'bin/bale'))} build ${registry.host}/app --publish ${level} --path app --builder builder ${args}`
    shell(`${bale('')} >first`, dir) // makes the stack, and bundles what changed
    const base = 'tar | gzip -1'
    const cold = 'whole build, cold'
    const rows = compare('build', dir, runs, [
      { name: base, command: `tar -C ${quote(tree().path)} -cf - . | gzip -1 > tar.gz` },
      { name: cold, before: 'rm -rf cache', command: `${bale('')} >cold` },
      { name: 'nothing changed', command: `${bale('')} >again`, target: 1 },
      {
        name: 'one file changed',
        command: `${bale('--env BENCH_EDIT="$RANDOM"')} >edited`,
        against: cold,
        target: 0.15,
      },
    ])
    const piece = 'build'
    const restore = Number(/restore took ([\d.]+) s/.exec(shell(bale('', '--verbose'), dir))?.[1])
    return [...rows, { piece, name: 'restore, by moving the tree', seconds: restore, target: 0.5, met: restore <= 0.5 }]
  } finally {
    await registry.close()
  }
}
