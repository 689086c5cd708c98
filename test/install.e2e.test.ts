import { execFile, execFileSync } from 'node:child_process'
import { chownSync, copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { describeCli } from '../distribution/cli-package.ts'
import { packageFile } from '../distribution/debian-package.ts'
import { baleVersion } from '../lifecycle/version.ts'
import { root } from './helpers/bale.ts'
import { type CleanRoot, makeCleanRoot, openCleanRoot } from './helpers/clean-root.ts'
import { skip } from './helpers/skip.ts'

// Each form in which Bale is installed, in a Debian that has nothing of a checkout, used by an ordinary user.

const run = promisify(execFile)
const isRoot = process.geteuid?.() === 0
const why = 'only root can enter the root file system of another Debian as its user'
const arch = process.arch === 'arm64' ? 'arm64' : 'amd64'
const description = describeCli(arch)
const dir = await mkdtemp(join(tmpdir(), 'bale-test-install-'))
// Files of the stack belong to the user's subordinate users.
afterAll(() => rmSync(dir, { recursive: true, force: true }))
const data = join(dir, 'data')
let clean = ''
let npmPackage = ''

const open = (name: string): Promise<CleanRoot> => openCleanRoot(clean, mkdtempSync(join(dir, `${name}-`)), data)
/** What a newcomer types, with the program that was installed. */
const firstSteps = (bale: string): string => `
mkdir app && echo 'web: echo "hello from user $(id -u)"' > app/Procfile
set -e
${bale} build hello --path app --quiet
${bale} run hello`
const digests = new Map<string, string>()
function expectHello(form: string, stdout: string): void {
  expect(stdout).toContain('hello from user 1001\n')
  digests.set(form, /@(sha256:[0-9a-f]{64})/.exec(stdout)?.[1] ?? stdout)
}

beforeAll(async () => {
  if (!isRoot) return
  execFileSync('chmod', ['755', dir])
  mkdirSync(data, { mode: 0o700 })
  chownSync(data, 1000, 1000)
  const shells = ['bash-completion', 'fish', 'man-db', 'zsh']
  const make = async (): Promise<void> => {
    await run(process.execPath, [join(root, 'scripts/dist.mjs'), '--out', dir, '--arch', arch, 'cli', 'deb'])
    const { stdout } = await run('npm', ['pack', '--silent', `--pack-destination=${dir}`], { cwd: root })
    npmPackage = stdout.trim().split('\n').at(-1) ?? ''
  }
  const [tar] = await Promise.all([makeCleanRoot([...description.depends, ...shells], dir), make()])
  clean = tar
}, 300_000)

describe('the Debian package', () => {
  it('is installed by apt with what it needs, makes the stack and builds; manual and completions are found', async context => {
    if (!isRoot) return skip(context, why)
    const machine = await open('deb')
    const deb = packageFile(description)
    copyFileSync(join(dir, deb), join(machine.path, 'tmp', deb))
    // As README says it, where nothing of what it needs is there.
    await machine.asRoot('dpkg', '--purge', '--force-depends', 'bubblewrap', 'mmdebstrap', 'uidmap')
    await machine.asRoot('apt-get', 'update', '-q')
    await machine.asRoot('env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', 'install', '-y', '-q', `/tmp/${deb}`)
    expect(await machine.asRoot('dpkg', '--verify', 'bale')).toBe('')
    expect(await machine.asRoot('dpkg-query', '-W', '-f=${db:Status-Status} ${Version} ${Architecture}', 'bale')).toBe(
      `installed ${baleVersion} ${arch}`,
    )
    expectHello('deb', (await machine.asUser(firstSteps('bale'))).stdout)
    const { stdout } = await machine.asUser(`
man -P cat bale-build | grep -c -e --publish
. /usr/share/bash-completion/bash_completion && _comp_load bale && complete -p bale
zsh -fc 'autoload -Uz compinit; compinit -D; echo $_comps[bale] $functions_source[_bale]'
fish -c 'complete -C "bale build --publ"'`)
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(/^[1-9]/),
      'complete -o default -F _bale bale',
      '_bale /usr/share/zsh/vendor-completions/_bale',
      '--publish',
      '',
    ])
    // Its loader is root's, and not readable: what is packaged has another copy of it.
    const packaged =
      'bale buildpack package node.cnb --format file --path /usr/lib/bale/buildpacks/nodejs && ls node.cnb'
    expect((await machine.asUser(packaged)).stdout).toContain('node.cnb')
    await machine.asRoot('dpkg', '--purge', 'bale')
    expect(existsSync(join(machine.path, 'usr/lib/bale'))).toBe(false)
  })
})

describe('the tarball', () => {
  it('runs from where a user unpacked it, and builds', async context => {
    if (!isRoot) return skip(context, why)
    const machine = await open('tgz')
    const file = `bale-linux-${arch}.tgz`
    copyFileSync(join(dir, file), join(machine.path, 'tmp', file))
    expectHello('tgz', (await machine.asUser(`tar -xzf /tmp/${file}; ${firstSteps('bale/bale')}`)).stdout)
  })
})

describe('the npm package', () => {
  it('is installed by npm in a project, and builds', async context => {
    if (!isRoot) return skip(context, why)
    const machine = await open('npm')
    // As Node's own archive has it.
    const local = join(machine.path, 'usr/local')
    const node = join(root, `node_modules/node-linux-${process.arch}/bin/node`)
    copyFileSync(node, join(local, 'bin/node'))
    cpSync(join(root, 'node_modules/npm'), join(local, 'lib/node_modules/npm'), { recursive: true })
    for (const name of ['npm', 'npx'])
      symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(local, 'bin', name))
    copyFileSync(join(dir, npmPackage), join(machine.path, 'tmp', npmPackage))
    const install = `npm init -y >npm.log && npm install --no-audit --no-fund /tmp/${npmPackage} >>npm.log`
    expectHello('npm', (await machine.asUser(`${install}; ${firstSteps('npx bale')}`)).stdout)
  })
})

describe('all of them', () => {
  it('build the same image', context => {
    if (!isRoot) return skip(context, why)
    expect([...digests.keys()]).toEqual(['deb', 'tgz', 'npm'])
    expect(new Set(digests.values()).size).toBe(1)
  })
})
