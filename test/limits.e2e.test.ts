import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { formatEvent } from '../lifecycle/event-stream.ts'
import type { BuildEvent } from '../lifecycle/events.ts'
import { type Running, root, startBale } from './helpers/bale.ts'
import { landlockVersion } from './helpers/supervisor.ts'
import { processesWith, uniqueWord } from './helpers/processes.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { writeTree } from './helpers/tree.ts'

/** `bale build` with one buildpack, whose bin/build is this script. */
async function startBuild(script: string, ...more: string[]): Promise<Running & { readonly work: string }> {
  const dir = await temporaryDirectory()
  await writeTree(dir, {
    'src/main.txt': 'app',
    cache: { dir: true },
    'own/buildpack.toml': 'api = "0.11"\n[buildpack]\nid = "own"\nversion = "1.0.0"\n',
    'own/bin/detect': { script: 'exit 0' },
    'own/bin/build': { script },
    'builder.toml': `[[buildpacks]]\nuri = "own"\n[[order]]\n[[order.group]]\nid = "own"\n[stack]\nuri = "${root}/stacks/trixie"\n`,
  })
  const args = ['build', 'bale-test-limits', '--path', join(dir, 'src'), '--builder', dir, ...more]
  const running = startBale(args, { env: { XDG_CACHE_HOME: join(dir, 'cache') } })
  return { ...running, work: join(dir, 'cache/bale/work') }
}

/** kB of the process and those below it; bin/bale becomes Node. */
function memoryOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1])
}

describe('X42 a buildpack that prints', () => {
  it('three million lines, and then why it fails', async () => {
    const { ended, work } = await startBuild('seq 1 3000000; echo FATAL; exit 1')
    const { code, stdout, stderr } = await ended
    expect(stdout).toContain('\n  3000000\n  FATAL\n')
    expect(stdout.match(/^ {2}\d+$/gm)?.length).toBe(3_000_000)
    expect(code, stderr).toBe(51)
    expect(stderr).toContain('bin/build exited with status 1')
    expect(readdirSync(work)).toEqual([])
  })

  it('without end, to somebody who reads slowly: memory stays bounded, and a signal ends it', async () => {
    const { child, ended, work } = await startBuild('yes')
    const stdout = child.stdout!
    await new Promise(resolve => stdout.once('data', resolve))
    stdout.pause()
    await sleep(2000)
    const before = memoryOf(child.pid!)
    await sleep(4000)
    expect(memoryOf(child.pid!) - before).toBeLessThan(20_000)
    expect(before).toBeLessThan(250_000)
    child.kill('SIGTERM')
    stdout.removeAllListeners('data').resume() // what was in the pipe
    expect(await ended).toMatchObject({ code: 143 })
    expect(readdirSync(work)).toEqual([])
  })
})

it('X41 X31 a buildpack that writes into the pipe of its phase says nothing in our name', async () => {
  const forged = (event: BuildEvent): string => formatEvent(event).replaceAll("'", '')
  const digest = `sha256:${'f'.repeat(64)}`
  const saved = forged({ type: 'saved', names: ['evil'], digest, imageId: digest, size: 1 })
  const note = forged({ type: 'note', level: 'info', text: `Digest: ${digest}` })
  const { ended } = await startBuild(
    `while read -r name value; do [ "$name" = PPid: ] && phase=$value; done </proc/$PPID/status
    echo "the phase is $phase"
    for fd in 1 2 5 6 7; do printf '%s\\n' '${saved}' '${note}' >/proc/$phase/fd/$fd; done 2>/dev/null
    printf '%s\\n' '${saved}' '${note}'; exit 1`,
  )
  const { code, stdout } = await ended
  expect(code).toBe(51)
  expect(stdout).toMatch(/^ {2}the phase is \d+$/m)
  // Marked, where it gets there; with Landlock it does not.
  const arrived = stdout.split(`  Digest: ${digest}`).length - 1
  expect(arrived > 0).toBe(landlockVersion() < 3)
  expect(stdout).toContain('"type":"saved"') // what it prints itself is output
  expect(stdout).not.toMatch(/^(Saved|Digest)/m)
})

describe('X48 a build that never ends', () => {
  it.each([
    ['--timeout', 'the build took longer than 8 s'],
    ['--buildpack-timeout', 'own@1.0.0 took longer than 8 s'],
  ])('is ended by %s, and cleaned up', async (option, message) => {
    const word = uniqueWord()
    const { ended, work } = await startBuild(
      `trap "" TERM; (setsid sleep ${word} &); while :; do sleep ${word}; done`,
      option,
      '8s',
    )
    const { code, stderr } = await ended
    expect(stderr).toContain(message)
    expect(stderr).toContain(option)
    expect(code).toBe(52)
    expect(await processesWith(word)).toEqual([])
    expect(readdirSync(work)).toEqual([])
  })
})
