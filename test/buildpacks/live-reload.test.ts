import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { liveReload } from '../../buildpacks/live-reload/live-reload.ts'
import { reloadScript } from '../../buildpacks/live-reload/reload-script.ts'
import { TestProject } from '../../buildpacks/sdk/testing.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { writeTree } from '../helpers/tree.ts'
import { FakeDebian } from './python/fake-debian.ts'

const dir = join(import.meta.dirname, '../../buildpacks/live-reload')

async function project(env: Record<string, string>) {
  const debian = new FakeDebian()
  debian.packages = { 'inotify-tools': { version: '3.22', files: { 'usr/bin/inotifywait': 'ELF' } } }
  const made = await TestProject.create({ buildpack: liveReload, dir, app: {}, env, runner: debian.runner })
  onTestFinished(() => made[Symbol.asyncDispose]())
  return made
}

/** The script with a watcher and a program of the test; BASE is a directory that both know. */
async function reload(web: string, watcher: string) {
  const base = await temporaryDirectory()
  await writeTree(base, {
    'layers/x/watcher/inotifywait': { script: watcher },
    web: { script: web },
    app: { dir: true },
  })
  const places = {
    inotifywait: join(base, 'layers/x/watcher/inotifywait'),
    libraries: '/none',
    layersDir: join(base, 'layers'),
    appDir: join(base, 'app'),
  }
  const env = { PATH: process.env['PATH'], BASE: base }
  const child = spawn('bash', ['-c', reloadScript(places), 'bash', join(base, 'web')], {
    env,
    cwd: base,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (output += text.toString()))
  const ended = new Promise<number>(done => child.once('close', (code, signal) => done(code ?? (signal ? 128 : 0))))
  const until = async (text: string): Promise<void> => {
    for (let i = 0; i < 200 && !output.includes(text); i++) await sleep(50)
    expect(output).toContain(text)
  }
  return { base, child, ended, until, output: () => output }
}

describe('the live-reload buildpack', () => {
  it('takes part where it is asked for, and starts what runs web', async () => {
    expect((await (await project({})).detect()).exitCode).toBe(100)
    const p = await project({ BP_LIVE_RELOAD_ENABLED: 'true' })
    expect((await p.detect()).exitCode).toBe(0)
    const { launch, exitCode, output } = await p.build()
    expect(exitCode, output).toBe(0)
    const command = [join(p.layersDir, 'watcher/bin/reload'), '/cnb/process/web']
    expect(launch).toEqual({ processes: [{ type: 'reload', command, default: true }] })
    expect(await p.read('layers/watcher/bin/reload')).toContain(`CNB_APP_DIR=${p.appDir}`)
  })

  it('starts the program again after a change, with all that it had started gone', async () => {
    const web = 'echo "started with $CNB_PLATFORM_API"; sleep 300 & echo "child $!"; wait'
    const { base, child, ended, until, output } = await reload(
      web,
      'while [ ! -f "$BASE/go" ]; do sleep 0.1; done; echo a.py; echo b.py; exec sleep 300',
    )
    await until('child ')
    const [, first] = /child (\d+)/.exec(output()) ?? []
    await writeTree(base, { go: '' })
    await until('Reload: a.py has changed\nstarted with 0.12')
    expect(() => process.kill(Number(first), 0)).toThrow('ESRCH')
    child.kill('SIGTERM')
    expect(await ended).toBe(143)
    for (const [, pid] of output().matchAll(/child (\d+)/g)) expect(() => process.kill(Number(pid), 0)).toThrow('ESRCH')
    expect(output()).not.toContain('b.py')
  })

  it('says that nothing watches any more, and that there is no web', async () => {
    const blind = await reload('sleep 300', 'exit 1')
    expect(await blind.ended).toBe(1)
    expect(blind.output()).toContain('nothing watches the files any more')
    const none = await new Promise<string>(done => {
      const places = { inotifywait: '/none', libraries: '', layersDir: '/l', appDir: '/a' }
      const child = spawn('bash', ['-c', reloadScript(places), 'bash', '/none/web'], {
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      child.stderr.once('data', (text: Buffer) => done(text.toString()))
    })
    expect(none).toContain('this image has none')
  })
})
