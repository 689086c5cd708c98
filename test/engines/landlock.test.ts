import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { seccompArch, seccompFilter } from '../../lifecycle/processes/seccomp.ts'
import { skip } from '../helpers/skip.ts'
import { landlockProgram, landlockVersion } from '../helpers/supervisor.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { writeTree } from '../helpers/tree.ts'

const tree = {
  'layers/own/layer/program': 'own',
  'layers/other/layer/program': 'good',
  'layers/other/layer/empty': { dir: true },
  'layers/plan.toml': 'plan',
  'app/source': 'source',
} as const

/** A script in a directory with this tree, where `layers` is read-only but for `layers/own`. */
async function run(script: string): Promise<{ dir: string; stdout: string; stderr: string; status: number | null }> {
  const dir = await temporaryDirectory()
  await writeTree(dir, tree)
  const options = ['--signals', '--read-only', join(dir, 'layers'), '--writable', join(dir, 'layers/own')]
  const ended = spawnSync(landlockProgram(), [...options, '/bin/sh', '-c', script], { cwd: dir, encoding: 'utf8' })
  return { dir, ...ended }
}

const linux = process.platform === 'linux'

describe.runIf(linux)('X27 X40 X49 what is read-only', () => {
  it.each([
    ['is written', 'echo evil >layers/other/layer/program'],
    ['is appended to', 'echo evil >>layers/other/layer/program'],
    ['is truncated', 'truncate -s 0 layers/other/layer/program'],
    ['is removed', 'rm -f layers/other/layer/program'],
    ['is replaced', 'echo evil >layers/own/new; mv -f layers/own/new layers/other/layer/program'],
    ['is moved away', 'mv layers/other layers/own/other'],
    ['is renamed', 'mv layers/other layers/another'],
    ['gets a file', 'echo evil >layers/other/layer/new'],
    ['gets a file beside the layers', 'echo evil >layers/new'],
    ['gets a directory', 'mkdir layers/other/layer/new'],
    ['gets a link', 'ln -s /etc/passwd layers/other/layer/new'],
    ['gets a hard link', 'ln layers/own/layer/program layers/other/layer/new'],
    ['gets a fifo', 'mkfifo layers/other/layer/new'],
    ['loses a directory', 'rmdir layers/other/layer/empty'],
    ['is written through a link', 'ln -s ../other/layer/program layers/own/link; echo evil >layers/own/link'],
    ['is written by way of /proc', 'exec 5<layers/other/layer/program; echo evil >/proc/self/fd/5'],
    ['is written by a hard link', 'ln layers/other/layer/program layers/own/l && echo evil >layers/own/l'],
  ])('never %s', async (_what, script) => {
    if (landlockVersion() < 3) return // Linux 6.2
    const { dir, status } = await run(`exec 2>/dev/null; ${script}`)
    expect(status).not.toBe(0)
    expect(readFileSync(join(dir, 'layers/other/layer/program'), 'utf8')).toBe('good')
    expect(readdirSync(join(dir, 'layers/other/layer')).sort()).toEqual(['empty', 'program'])
    expect(readdirSync(join(dir, 'layers')).sort()).toEqual(['other', 'own', 'plan.toml'])
  })

  it('can be read and run, and all else can be written', async () => {
    const { dir, stderr, status } = await run(`set -e
      cat layers/other/layer/program >/dev/null
      echo more >>layers/own/layer/program; mkdir layers/own/new; mv layers/own/layer layers/own/new/
      ln layers/own/new/layer/program layers/own/linked; ln -s x layers/own/l; rm layers/own/l
      echo changed >app/source; mkdir app/new; mv app/source app/new/; cp app/new/source layers/own/copy
      : >/dev/null; t=$(mktemp -p app); echo x >"$t"; kill -0 $$`)
    expect([stderr, status]).toEqual(['', 0])
    expect(readdirSync(join(dir, 'layers/own')).sort()).toEqual(['copy', 'linked', 'new'])
  })
})

it.runIf(linux)('restricted again and again, a program still moves files from one directory to another', async () => {
  const dir = await temporaryDirectory()
  await writeTree(dir, tree)
  const restrict = (...options: string[]): string[] => [landlockProgram(), ...options]
  const argv = [
    ...restrict('--sockets'),
    ...restrict('--signals', '--read-only', join(dir, 'layers'), '--writable', join(dir, 'layers/own')),
    ...restrict('--signals', '--read-only', join(dir, 'layers/own/layer')),
    ...restrict('--signals'),
  ]
  const script = 'mkdir -p layers/own/a/b && cd app && mkdir d && mv source d/ && mv d/source . && ln source d/linked'
  const ended = spawnSync(argv[0] as string, [...argv.slice(1), '/bin/sh', '-c', script], {
    cwd: dir,
    encoding: 'utf8',
  })
  expect(ended.stderr).toMatch(/^mkdir: .*layers\/own/) // made beside what is read-only
  const moved = spawnSync(argv[0] as string, [...argv.slice(1), '/bin/sh', '-c', script.replace(/^.*?&& /, '')], {
    cwd: dir,
    encoding: 'utf8',
  })
  expect([moved.stderr, moved.status]).toEqual(['', 0])
})

describe.runIf(linux)('landlock, the program', () => {
  it.each([
    ['an unknown option', ['--everything', '/bin/true'], 'ERROR: landlock: unknown option --everything\n'],
    ['an option without its value', ['--read-only'], 'ERROR: landlock: unknown option --read-only\n'],
    [
      'a program that is missing',
      ['/no/program'],
      'ERROR: landlock: /no/program cannot be started: no such file or directory\n',
    ],
  ])('refuses %s', (_what, args, expected) => {
    const { status, stderr } = spawnSync(landlockProgram(), args, { encoding: 'utf8' })
    expect([status, stderr]).toEqual([125, expected])
  })

  it('hands on arguments and environment as they are', () => {
    const args = ['--sockets', '--signals', '/bin/sh', '-c', 'echo "$1 $A"', 'sh', '--read-only']
    const { stdout } = spawnSync(landlockProgram(), args, { encoding: 'utf8', env: { A: 'a b' } })
    expect(stdout).toBe('--read-only a b\n')
  })

  it('X11 closes processes outside to signals', async ctx => {
    if (landlockVersion() < 6) return skip(ctx, 'Linux 6.12 with Landlock is needed')
    const { status } = await run(`kill -0 ${process.pid} 2>/dev/null`)
    expect(status).not.toBe(0)
  })
})

describe.runIf(linux)('X13 system calls', () => {
  const call = (filter: string) =>
    spawnSync(landlockProgram(), ['--system-calls', filter, '/bin/sh', '-c', 'grep Seccomp: /proc/self/status'], {
      encoding: 'utf8',
    })

  it('are judged by the filter', () => {
    const filter = Buffer.from(seccompFilter(seccompArch())).toString('hex')
    expect(call(filter).stdout).toBe('Seccomp:\t2\n')
  })

  it.each([
    ['nothing', ''],
    ['half an instruction', '06000000'],
    ['no digits', '060000000000ff7x'],
    ['more than the kernel takes', '060000000000ff7f'.repeat(4097)],
  ])('are not made at all when the filter is %s', (_what, filter) => {
    const { status, stderr } = call(filter)
    expect([status, stderr]).toEqual([125, 'ERROR: landlock: unknown option --system-calls\n'])
  })

  it('are not made at all when the kernel refuses the filter', () => {
    const { status, stderr } = call('ffff0000000000ff')
    expect(status).toBe(125)
    expect(stderr).toContain('the filter of system calls cannot be applied')
  })
})

describe.runIf(linux)('X40 within a confined run, whose root cannot be listed', () => {
  it('what is read-only stays closed, and what is beside it, or named, open', async ctx => {
    if (landlockVersion() < 3) return skip(ctx, 'Linux 6.2 with Landlock is needed')
    const dir = await temporaryDirectory()
    await writeTree(dir, { ...tree, tmp: { dir: true } })
    const program = landlockProgram()
    const system = ['/bin', '/etc', '/lib', '/lib64', '/usr', '/proc', dirname(program)].filter(path =>
      existsSync(path),
    )
    const confined = [...system.flatMap(path => ['-r', path]), '-w', '/dev', '-w', dir]
    const inner = [program, '--read-only', join(dir, 'layers/other'), '--writable', join(dir, 'tmp')]
    const script = `try() { sh -c "$1" 2>/dev/null && echo "$1"; }
cd ${dir}; try 'echo x >layers/other/layer/program'; try 'echo x >layers/own/new'; try 'mkdir layers/third'; try 'echo x >tmp/new'; true`
    const { stdout, stderr } = spawnSync(program, [...confined, ...inner, '/bin/sh', '-c', script], {
      encoding: 'utf8',
    })
    expect(stdout, stderr).toBe('echo x >layers/own/new\necho x >tmp/new\n')
    expect(readFileSync(join(dir, 'layers/other/layer/program'), 'utf8')).toBe('good')
  })
})
