import { describe, expect, it } from 'vitest'
import { join } from 'node:path'
import { type Ended, bale, digestIn, root } from './helpers/bale.ts'
import { skip } from './helpers/skip.ts'
import { landlockVersion } from './helpers/supervisor.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { type Tree, writeTree } from './helpers/tree.ts'

/**
 * The oracle: what one buildpack does reaches no other buildpack of its group but by its own layers and the application, which
 * later ones are to read. The image is that of a buildpack which does nothing of the kind.
 */
const makesLayer = `mkdir -p "$1/own"; echo mine > "$1/own/file"
printf '[types]\nlaunch = true\nbuild = true\ncache = true\n' > "$1/own.toml"`

/** `bale build` with two buildpacks, first/one and second/two, that have these scripts as bin/build. */
async function buildPair(first: string, second: string, ...more: string[]): Promise<Ended> {
  const dir = await temporaryDirectory()
  const buildpack = (id: string, build: string, toml = ''): Tree => ({
    [`${id}/buildpack.toml`]: `api = "0.11"\n[buildpack]\nid = "test/${id}"\nversion = "1.0.0"\n${toml}`,
    [`${id}/bin/detect`]: { script: 'exit 0' },
    [`${id}/bin/build`]: { script: build },
  })
  const ids = ['first', 'second']
  await writeTree(dir, {
    'src/main.txt': 'app',
    cache: { dir: true },
    ...buildpack('first', first),
    ...buildpack('second', second, 'clear-env = true\n'),
    'builder.toml':
      ids.map(id => `[[buildpacks]]\nuri = "${id}"\n`).join('') +
      '[[order]]\n' +
      ids.map(id => `[[order.group]]\nid = "test/${id}"\n`).join('') +
      `[stack]\nuri = "${root}/stacks/trixie"\n`,
  })
  const args = ['build', 'bale-test-apart', '--path', join(dir, 'src'), '--builder', dir, ...more]
  return await bale(args, { env: { XDG_CACHE_HOME: join(dir, 'cache') } })
}

describe('X27 X49 a buildpack of a group', () => {
  it('changes nothing of the layers of another one, of what the platform gives, and of what the phase keeps', async ctx => {
    if (landlockVersion() < 3) return skip(ctx, 'Linux 6.2 with Landlock is needed')
    const attack = `${makesLayer}
exec 2>/dev/null
try() { sh -c "$1" && echo "done: $1"; }
try 'echo evil > /layers/test_first/own/file'
try 'rm -rf /layers/test_first/own'
try 'mv /layers/test_first /layers/test_third'
try 'mkdir /layers/test_third'
try 'echo evil > /layers/test_first/own.toml'
try 'echo evil > /layers/plan.toml'
try 'echo evil > /layers/config/metadata.toml'
try 'ln /layers/test_first/own/file /layers/test_second/own/linked && echo evil > /layers/test_second/own/linked'
try 'echo evil > /platform/env/EVIL'
try 'echo evil > /cnb/buildpacks/evil'
echo all tried`
    const reference = await buildPair(makesLayer, makesLayer, '--quiet')
    const evil = await buildPair(makesLayer, attack)
    expect(evil.code, evil.output).toBe(0)
    expect(evil.output).toContain('  all tried\n')
    expect(evil.output).not.toContain('done:')
    expect(evil.output).not.toContain('was changed by a buildpack')
    expect(evil.output).toContain(`Digest: ${digestIn(reference)}`)
  })

  it('X05 X11 X36 X41 sees nothing of the phase: no signal, memory, environment or descriptor', async ctx => {
    if (landlockVersion() < 6) return skip(ctx, 'Linux 6.12 with Landlock is needed')
    const attack = `exec 2>/dev/null
for process in /proc/[0-9]*; do
  pid=\${process#/proc/}
  [ $pid = $$ ] && continue
  kill -0 $pid && echo "signalled $pid"
  head -c 1 $process/environ | grep -q . && echo "environment $pid"
  (: >> $process/mem) && echo "memory $pid"
  for fd in 0 1 2 3 4 5 6 7; do (: <> $process/fd/$fd) && echo "descriptor $fd of $pid"; done
done
echo "$(ls -d /proc/[0-9]* | wc -l) were there"`
    const { code, output } = await buildPair(makesLayer, attack)
    expect(code, output).toBe(0)
    // bubblewrap, builder, supervisor, and those of the script.
    expect(output).toMatch(/^ {2}([4-9]|\d\d) were there$/m)
    expect(output).not.toMatch(/^ {2}(signalled|environment|memory|descriptor)/m)
  })
})
