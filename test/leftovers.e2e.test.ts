import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, copyFile, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { environmentOf, machineTree, registryWithRun } from './cli/phase/line.ts'
import { attackProgram } from './helpers/attack.ts'
import { type Running, digestIn, root, startBale } from './helpers/bale.ts'
import { processesWith, uniqueWord } from './helpers/processes.ts'
import type { FakeRegistry } from './helpers/registry.ts'
import { landlockProgram, supervisorProgram } from './helpers/supervisor.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { type Tree, writeTree } from './helpers/tree.ts'

/**
 * The oracle: when export begins, nothing that a buildpack started is alive, however it hides; so the image is that of a
 * buildpack which leaves nothing, the layers have what was there at the end of the build and nothing later, and the next
 * build gives the same image. Where others copy out of a container, Bale reads what a sandbox or its own host was shown.
 */
const makesLayer = `mkdir -p "$1/own"; echo mine > "$1/own/file"
printf '[types]\\nlaunch = true\\ncache = true\\n' > "$1/own.toml"`

/** Each is known by the word, waits for the last thing that a build phase writes and then some, and writes to its layer. */
const leavesWriters = (word: string, attack: string): string => `${makesLayer}
started=$(mktemp -d)
late='i=0; : > "$3/$$"
  until [ -e "$2" ] || [ $i -gt 3000 ]; do sleep 0.01; i=$((i + 1)); done
  sleep 2
  while [ $i -lt 5000 ]; do echo late >> "$1/late"; sleep 0.01; i=$((i + 1)); done'
set -- "$late" ${word} "$1/own" "$1/../config/metadata.toml" "$started"
setsid sh -c "$@" &
nohup sh -c "$@" >/dev/null 2>&1 </dev/null &
(sh -c "$@" &)
(setsid env -i PATH="$PATH" sh -c 'trap "" TERM HUP INT; (sh -c "$@" >/dev/null 2>&1 </dev/null &)' sh "$@" &)
until [ "$(ls "$started" | wc -l)" -eq 4 ]; do sleep 0.01; done
"${attack}" daemon /tmp/late-${word} ${word}; "${attack}" chain ${word}
until [ -s /tmp/late-${word} ]; do :; done
echo 6 are left`

const exporting = /===> EXPORT/i

/** Looks for the processes as soon as the output says that export has begun. */
function aliveAtExport(running: Pick<Running, 'child' | 'output'>, word: string): Promise<number[]> {
  return new Promise((found, failed) => {
    const look = (): void => {
      if (!exporting.test(running.output())) return
      running.child.stdout?.off('data', look)
      processesWith(word).then(found, failed)
    }
    running.child.stdout?.on('data', look)
    running.child.once('close', () => failed(new Error(`export never began:\n${running.output()}`)))
  })
}

describe('X16 X32 X36 a buildpack that leaves processes which write', () => {
  it('in the sandbox: they are gone before export, and the image has nothing of theirs', async () => {
    const dir = await temporaryDirectory()
    const word = uniqueWord()
    const builder = (build: string): Tree => ({
      'leaves/buildpack.toml': 'api = "0.11"\n[buildpack]\nid = "leaves"\nversion = "1.0.0"\n',
      'leaves/bin/detect': { script: 'exit 0' },
      'leaves/bin/build': { script: build },
      'builder.toml': `[[buildpacks]]\nuri = "leaves"\n[[order]]\n[[order.group]]\nid = "leaves"\n[stack]\nuri = "${root}/stacks/trixie"\n`,
    })
    await writeTree(dir, { 'src/main.txt': 'app', cache: { dir: true } })
    await writeTree(join(dir, 'good'), builder(makesLayer))
    await writeTree(join(dir, 'evil'), builder(leavesWriters(word, '$CNB_BUILDPACK_DIR/bin/attack')))
    await copyFile(attackProgram(), join(dir, 'evil/leaves/bin/attack'))
    const build = (which: string, ...more: string[]): Running => {
      const args = ['build', 'bale-test-leftovers', '--path', join(dir, 'src'), '--builder', join(dir, which), ...more]
      return startBale(args, { env: { XDG_CACHE_HOME: join(dir, 'cache') } })
    }
    const reference = digestIn(await build('good', '--quiet').ended)

    const evil = build('evil')
    expect(await aliveAtExport(evil, word)).toEqual([])
    const { code, output } = await evil.ended
    expect(code, output).toBe(0)
    expect(output).toContain('6 are left')
    expect(output).toContain(`Digest: ${reference}`)
    expect(await readdir(join(dir, 'cache/bale/work'))).toEqual([])
    expect(digestIn(await build('good', '--quiet').ended)).toBe(reference)
  })

  describe('on the host, where creator is', () => {
    const asRoot = process.geteuid?.() === 0
    let lifecycle: string

    beforeAll(async () => {
      lifecycle = execFileSync('mktemp', ['-d', '/tmp/bale-test-XXXXXXXX'], { encoding: 'utf8' }).trim()
      const bundle = "import('./scripts/bundle.mjs').then(m => m.bundlePhases(process.argv[1], { precompiled: false }))"
      execFileSync(process.execPath, ['--input-type=module', '-e', bundle, lifecycle], { cwd: root })
      await copyFile(process.execPath, join(lifecycle, 'node'))
      await copyFile(supervisorProgram(), join(lifecycle, 'supervisor'))
      await copyFile(landlockProgram(), join(lifecycle, 'landlock'))
      await chmod(lifecycle, 0o755) // another user's process is what root starts
      return () => execFileSync('rm', ['-r', lifecycle])
    })

    /** A machine, whose paths are in its images, and a run of creator there with this bin/build. */
    async function creatorFor(registry: FakeRegistry) {
      const dir = await temporaryDirectory()
      await chmod(dir, 0o755)
      const env = { ...environmentOf(dir, '0.15'), ...(!asRoot && { CNB_USER_ID: '', CNB_GROUP_ID: '' }) }
      const args = [`-launcher=${join(dir, 'lifecycle/launcher')}`, `-run-image=${registry.host}/run`]
      const argv = [join(lifecycle, 'phase.cjs'), 'creator', ...args, `${registry.host}/app`]
      return async (build: string) => {
        for (const volume of ['layers', 'cache']) await rm(join(dir, volume), { recursive: true, force: true })
        await writeTree(dir, machineTree({ build }))
        if (asRoot) await chown(join(dir, 'workspace'), 1000, 1000)
        const child = spawn(join(lifecycle, 'node'), argv, { env, cwd: '/', stdio: ['ignore', 'pipe', 'inherit'] })
        let said = ''
        child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
        return { child, output: () => said, ended: once(child, 'close').then(([code]) => code as number) }
      }
    }

    it('they are gone before export, and the image has nothing of theirs', async () => {
      const registry = await registryWithRun()
      const word = uniqueWord()
      const manifest = (): string => registry.manifests.get('app:latest')?.bytes.toString() ?? ''
      const create = await creatorFor(registry)
      const good = await create(makesLayer)
      expect(await good.ended, good.output()).toBe(0)
      const reference = manifest()

      const evil = await create(leavesWriters(word, attackProgram()))
      onTestFinished(() => rm(`/tmp/late-${word}`, { force: true }))
      expect(await aliveAtExport(evil, word)).toEqual([])
      expect(await evil.ended, evil.output()).toBe(0)
      expect(evil.output()).toContain('6 are left')
      expect(manifest()).toBe(reference)
    })
  })
})
