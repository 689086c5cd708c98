import { execFileSync } from 'node:child_process'
import { readlinkSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { bale, serveAndAsk, startBale } from './helpers/bale.ts'
import { suiteWith } from './helpers/skip.ts'
import { findSshServer, serveSsh } from './helpers/ssh-server.ts'
import { temporaryDirectory } from './helpers/temporary.ts'
import { writeTree } from './helpers/tree.ts'

// A real server and a real agent: a dependency in a private git repository.

const library = {
  'package.json': '{"name": "greeting", "version": "1.0.0"}',
  'index.js': "module.exports = 'from git'\n",
}
const server = "require('http').createServer((q, s) => s.end(require('greeting'))).listen(process.env.PORT)\n"

suiteWith('an application with a dependency in a private repository', findSshServer(), () => {
  /** The home of a user with known hosts, whose images and caches are this test's. */
  async function homeWith(knownHosts: string): Promise<Record<string, string>> {
    const home = await temporaryDirectory()
    await writeTree(home, { '.ssh/known_hosts': knownHosts })
    const {
      HOME = '/root',
      XDG_CACHE_HOME = join(HOME, '.cache'),
      XDG_DATA_HOME = join(HOME, '.local/share'),
    } = process.env
    return { HOME: home, XDG_CACHE_HOME, XDG_DATA_HOME }
  }

  it('is built with the SSH key of the user, which only a known server is shown', async () => {
    const image = 'bale-test-ssh'
    const { repository, key, knownHost } = await serveSsh(library)
    const dir = await temporaryDirectory()
    const dependencies = { greeting: `git+${repository}` }
    const scripts = { start: 'node server.js' }
    await writeTree(dir, {
      'package.json': JSON.stringify({ name: 'shop', version: '1.0.0', dependencies, scripts }),
      'server.js': server,
    })
    const build = ['build', image, '--path', dir, '--clear-cache']

    const unknown = await bale([...build, '--ssh', `default=${key}`], { env: await homeWith('') })
    expect(unknown.code).toBe(51)
    expect(unknown.output).toContain('Host key verification failed')
    expect(unknown.output).toContain('SSH will refuse every server')

    const env = await homeWith(knownHost)
    const without = await bale(build, { env })
    expect(without.code).toBe(51)
    expect(without.output).toContain('--ssh default')

    const first = await bale([...build, '--ssh', `default=${key}`], { env })
    expect(first.code, first.output).toBe(0)
    expect((await serveAndAsk(image)).body).toBe('from git')
  })

  it('K25 leaves no agent with keys behind when Bale is killed', async () => {
    const dir = await temporaryDirectory()
    const key = join(dir, 'key')
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
    await writeTree(dir, {
      'app/file': '',
      'buildpack/buildpack.toml':
        'api = "0.12"\n[buildpack]\nid = "test/wait"\nversion = "1.0.0"\n[[targets]]\nos = "linux"\n',
      'buildpack/bin/detect': '#!/bin/sh\n',
      'buildpack/bin/build': '#!/bin/sh\nssh-add -l && echo waiting && sleep 100\n',
    })
    for (const name of ['detect', 'build']) await chmod(join(dir, 'buildpack/bin', name), 0o755)
    const args = ['--path', join(dir, 'app'), '--buildpack', join(dir, 'buildpack'), '--ssh', `default=${key}`]
    const running = startBale(['build', 'bale-test-ssh-killed', ...args])
    while (!running.output().includes('waiting')) {
      expect(running.child.exitCode, running.output()).toBe(null)
      await sleep(100)
    }
    expect(agents()).toHaveLength(1)
    running.child.kill('SIGKILL')
    await running.ended
    for (let attempt = 0; agents().length > 0 && attempt < 50; attempt++) await sleep(100)
    expect(agents()).toEqual([])
  })
})

/** The agents that builds have started, by their working directories. One that has ended may still have a number. */
function agents(): string[] {
  const pids = execFileSync('sh', ['-c', 'pgrep -x ssh-agent || true'], { encoding: 'utf8' })
    .split('\n')
    .filter(Boolean)
  return pids.map(workingDirectory).filter(dir => dir.includes('/bale/work/'))
}

function workingDirectory(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return ''
  }
}
