import { mkdirSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { startDockerRegistry } from '../test/helpers/docker-registry.ts'
import type { Bench } from './index.ts'
import { type Row, compare, quote, shell } from './measure.ts'
import { type Peer, startPeers } from './peers.ts'
import { restored } from './restore.ts'

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
export async function buildRows(bench: Bench): Promise<Row[]> {
  const { dir, runs, tree } = bench
  const registry = await startDockerRegistry({ secure: false })
  const { peers, missing, stop } = await startPeers(bench, registry.host)
  try {
    const { build } = prepareBuild(bench, registry.host)
    shell(build(''), dir) // makes the stack, and bundles what changed
    const [cold, again, edited] = ['bale build, cold', 'bale build, nothing changed', 'bale build, one file changed']
    const theirs = (what: keyof Peer['commands'], against: string, before?: string) =>
      peers.map(({ name, commands }) => ({
        name: `${name}, ${what}`,
        command: commands[what],
        against,
        ...(before && { before }),
      }))
    const edit = `echo "$RANDOM" >>${quote(tree().path)}/copy-0/typescript/package.json`
    const rows = compare('build', dir, runs, [
      { name: cold, command: build('', '--quiet', '"$ROUND/cache"') },
      { name: again, command: build('', '--quiet', '"$ROUND/cache"'), target: 1 },
      {
        name: edited,
        command: build('--env BENCH_EDIT="$RANDOM"', '--quiet', '"$ROUND/cache"'),
        against: cold,
        target: 0.15,
      },
      ...theirs('cold', cold),
      ...theirs('nothing changed', again),
      ...theirs('one file changed', edited, edit),
    ])
    const moved = restored('restore from a cache directory', runs, 0.5, () => shell(build('', '--verbose'), dir))
    return [...rows, moved, ...missing.map(note => ({ piece: 'build', name: 'not measured', note }))]
  } finally {
    await stop()
    await registry.close()
  }
}

/** A builder whose layer is the tree, and the command of a build with it. */
export function prepareBuild({ dir, tree, root }: Bench, registry: string) {
  const builder = join(dir, 'builder')
  mkdirSync(join(builder, 'bin'), { recursive: true })
  mkdirSync(join(dir, 'app'), { recursive: true })
  writeFileSync(join(dir, 'app/hello.txt'), 'hello')
  writeFileSync(join(builder, 'buildpack.toml'), buildpackToml)
  writeFileSync(join(builder, 'bin/detect'), '#!/bin/sh\nexit 0\n', { mode: 0o755 })
  writeFileSync(join(builder, 'bin/build'), binBuild, { mode: 0o755 })
  shell(`test -e builder/tree || cp -al ${quote(tree().path)} builder/tree`, dir)
  const stack = join(root, 'stacks/trixie')
  const toml = `[[buildpacks]]\nuri = "."\n[[order]]\n[[order.group]]\nid = "bench/tree"\n[stack]\nuri = "${stack}"\n`
  writeFileSync(join(builder, 'builder.toml'), toml)
  // The stack is the user's; caches are the bench's own.
  const data = process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local/share')
  const build = (args: string, level = '--quiet', cache = quote(join(dir, 'cache'))): string =>
    `XDG_DATA_HOME=${quote(data)} XDG_CACHE_HOME=${cache} ${quote(join(root, 'bin/bale'))} build ${registry}/app --publish ${level} --path app --builder builder ${args}`
  return { build }
}
