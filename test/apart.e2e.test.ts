import { describe, expect, it } from 'vitest'
import { join } from 'node:path'
import { type Ended, bale, digestIn, root } from './helpers/bale.ts'
import { changesOthers, makesLayer, reachesProcesses } from './helpers/attack.ts'
import { skip } from './helpers/skip.ts'
import { landlockVersion } from './helpers/supervisor.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { type Tree, writeTree } from './helpers/tree.ts'

// The oracle: a buildpack affects other buildpacks of its group only through its own layers and the application, which later
// buildpacks read. The image is the same as without the attack.

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
    const attack = `${makesLayer}\n${changesOthers}`
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
    const { code, output } = await buildPair(makesLayer, reachesProcesses)
    expect(code, output).toBe(0)
    // bubblewrap, builder, supervisor, and those of the script.
    expect(output).toMatch(/^ {2}([4-9]|\d\d) were there$/m)
    expect(output).not.toMatch(/^ {2}(signalled|environment|memory|descriptor)/m)
  })
})

describe('X50 a secret of one buildpack', () => {
  it('that its install script keeps is in no process, and in no file but those that later ones are to read', async ctx => {
    if (landlockVersion() < 6) return skip(ctx, 'Linux 6.12 with Landlock is needed')
    const keeps = `${makesLayer}
exec 2>/dev/null
[ "$SECRET" = canary-of-first ] && echo it was given
(setsid sh -c 'while :; do echo "$SECRET" >> /layers/test_second/kept; sleep 0.1; done' >/dev/null &)
mkdir -p /layers/test_second
for place in /layers/test_second/kept /layers/kept /layers/config/kept /platform/env/KEPT /cnb/kept "$1/own/kept" /workspace/kept; do
  echo "$SECRET" > "$place"
done`
    const looks = `${makesLayer}
exec 2>/dev/null
echo "in the environment: $(env | grep -c canary-of-first)"
for process in /proc/[0-9]*; do grep -q canary-of-first $process/environ $process/cmdline && echo "in a process: $process"; done
grep -rl canary-of-first /layers /platform /cnb/lifecycle /workspace | sed 's/^/in a file: /' | sort
echo all looked at`
    const { code, output } = await buildPair(keeps, looks, '--env', 'SECRET=canary-of-first')
    expect(code, output).toBe(0)
    expect(output).toContain('  it was given\n')
    expect(output).toContain('  in the environment: 0\n') // its buildpack.toml wants a clear one
    expect(output).toContain('  all looked at\n')
    expect(output.match(/^ {2}in a .*$/gm)).toEqual([
      '  in a file: /layers/test_first/own/kept',
      '  in a file: /platform/env/SECRET', // buildpack.md, "Platform": every buildpack may read it
      '  in a file: /workspace/kept',
    ])
  })
})
