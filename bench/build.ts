import { mkdirSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import { type Row, compare, progress, quote, shell } from './measure.ts'
import { startPeers } from './peers.ts'

/** Makes a layer from the tree beside the buildpack. In a restored layer, it changes only one file. */
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

/**
 * Compares whole builds with a layer of that tree, pushed to a registry on this machine, with those of other builders. Bale's
 * time includes the export and the other phases.
 */
export async function buildRows(bench: Bench): Promise<Row[]> {
  const { dir, runs, tree } = bench
  const registry = await bench.registry()
  const { peers, missing } = await startPeers(bench, registry)
  const build = await prepareBuild(bench)
  // Each round builds a new tree under a new name, so no cache and no registry has its layer.
  // The contexts and the buildpack's tree are hard links, so an edit changes all of them.
  const edit = `echo "$RANDOM$RANDOM" >>${quote(tree().path)}/copy-0/typescript/package.json`
  const fresh = `test -e "$ROUND/context" || cp -al ${quote(tree().path)} "$ROUND/context"; ${edit}`
  const bale = (args = ''): string => build('"$ROUND/cache"', `${registry}/\${ROUND##*/}/bale`, `--quiet ${args}`)
  const [cold, again, edited] = ['bale build, cold', 'bale build, nothing changed', 'bale build, one file changed']
  // The first build makes the stack, and bundles changed sources.
  const verbose = build('cache', `${registry}/restore`, '--verbose')
  const moved = await restored('restore phase, from a cache directory', runs, () => shell(verbose, dir))
  const rows = await compare('build', dir, runs, [
    { name: cold, before: fresh, command: bale() },
    { name: again, command: bale(), target: 1 },
    { name: edited, command: bale('--env BENCH_EDIT="$RANDOM"'), against: cold, target: 0.15 },
    ...peers.flatMap(({ name, cold: first, again: later, deletes }) => [
      { name: `${name}, cold`, before: fresh, command: first, against: cold, atLeast: 1, deletes },
      { name: `${name}, nothing changed`, command: later, against: again, atLeast: 1, deletes },
      { name: `${name}, one file changed`, before: edit, command: later, against: edited, atLeast: 1, deletes },
    ]),
  ])
  return [...rows, moved, ...missing.map(note => ({ piece: 'build', name: 'not measured', note }))]
}

/** Makes a builder whose layer is the tree; returns the command of a build with it. */
async function prepareBuild({ dir, tree, root }: Bench) {
  const builder = join(dir, 'builder')
  mkdirSync(join(builder, 'bin'), { recursive: true })
  mkdirSync(join(dir, 'app'))
  writeFileSync(join(dir, 'app/hello.txt'), 'hello')
  writeFileSync(join(builder, 'buildpack.toml'), buildpackToml)
  writeFileSync(join(builder, 'bin/detect'), '#!/bin/sh\nexit 0\n', { mode: 0o755 })
  writeFileSync(join(builder, 'bin/build'), binBuild, { mode: 0o755 })
  await shell(`cp -al ${quote(tree().path)} builder/tree`, dir)
  const stack = join(root, 'stacks/trixie')
  const toml = `[[buildpacks]]\nuri = "."\n[[order]]\n[[order.group]]\nid = "bench/tree"\n[stack]\nuri = "${stack}"\n`
  writeFileSync(join(builder, 'builder.toml'), toml)
  // The builds use the user's stack, but separate caches.
  const data = process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local/share')
  return (cache: string, image: string, args: string): string =>
    `XDG_DATA_HOME=${quote(data)} XDG_CACHE_HOME=${cache} ${quote(join(root, 'bin/bale'))} build ${image} --publish --path app --builder builder ${args}`
}

/** The median duration of the restore phase, as the builds print it. Skips the first build, which restores nothing. */
async function restored(name: string, runs: number, build: () => Promise<string>): Promise<Row> {
  const all: number[] = []
  for (let run = 0; run <= runs; run++) {
    progress(`build, ${name}: ${run} of ${runs}`)
    const said = await build()
    if (run > 0) all.push(Number(/restore took ([\d.]+) s/.exec(said)?.[1]))
  }
  const seconds = all.sort((a, b) => a - b)[runs >> 1] as number
  return { piece: 'build', name, seconds, target: 0.5, met: seconds <= 0.5 }
}
