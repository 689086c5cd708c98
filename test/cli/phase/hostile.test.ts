import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { chmod, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { processesWith, uniqueWord } from '../../helpers/processes.ts'
import { type Tree, writeTree } from '../../helpers/tree.ts'
import { buildpack } from '../../phases/harness.ts'
import { type Place, place, runBinary } from './run.ts'
import { readable, secret, unreadable } from './spoil.ts'

// Groups P and D of the hostile inputs, as the platform meets them: a whole binary, its exit status and its output.

const underCnb = (tree: Tree): Tree => Object.fromEntries(Object.entries(tree).map(([path, e]) => [`cnb/${path}`, e]))
const one = (scripts: Parameters<typeof buildpack>[1] = {}): Tree => underCnb(buildpack('one', scripts))

const good: Tree = {
  'cnb/order.toml': '[[order]]\n[[order.group]]\nid = "one"\nversion = "1.0.0"\n',
  'cnb/system.toml': '[[system.pre.buildpacks]]\nid = "one"\nversion = "1.0.0"\n',
  'layers/analyzed.toml': '[run-image]\nreference = "r.io/run"\n[run-image.target]\nos = "linux"\narch = "amd64"\n',
  'layers/group.toml': '[[group]]\nid = "one"\nversion = "1.0.0"\napi = "0.12"\n',
  'layers/plan.toml': '',
  canary: 'sings',
  ...one(),
}

/** What each of the two binaries that run buildpacks reads, and what it exits with when that is bad. */
const documents = [
  { binary: 'detector', file: 'cnb/order.toml', wrong: 'order = 1', status: 1 },
  { binary: 'detector', file: 'cnb/system.toml', wrong: 'system = 1', status: 1 },
  { binary: 'detector', file: 'layers/analyzed.toml', wrong: 'run-image = 1', status: 1 },
  { binary: 'detector', file: 'cnb/buildpacks/one/1.0.0/buildpack.toml', wrong: 'api = 1', status: 1 },
  { binary: 'builder', file: 'layers/group.toml', wrong: 'group = 1', status: 1 },
  { binary: 'builder', file: 'layers/plan.toml', wrong: 'entries = 1', status: 1 },
  { binary: 'builder', file: 'layers/analyzed.toml', wrong: 'run-image = 1', status: 1 },
] as const

const outputs: Record<'detector' | 'builder', readonly [string, ...string[]]> = {
  detector: ['layers/group.toml', 'layers/plan.toml'],
  builder: ['layers/config/metadata.toml'],
}

/** A good place but for what `spoil` did to it. The detector has nothing of its own in the layers directory yet. */
async function spoilt(binary: keyof typeof outputs, spoil: (root: string) => Promise<unknown>): Promise<Place> {
  const tree = Object.fromEntries(Object.entries(good).filter(([path]) => !outputs[binary].includes(path)))
  const made = await place(tree)
  await spoil(made.root)
  return made
}

/** The oracle: its exit status, one line that names the place, no secret, nothing half-written. */
async function expectRefused(binary: keyof typeof outputs, at: Place, status: number, named: string): Promise<void> {
  const { code, output } = await runBinary(binary, at)
  expect(code, output).toBe(status)
  const lines = output.trimEnd().split('\n')
  expect(lines.filter(line => line.startsWith('ERROR: '))).toEqual([lines.at(-1)])
  expect(lines.at(-1)).toContain(named)
  expect(output).not.toContain(secret)
  expect(output).not.toMatch(/c2VjcmV0|\n\s+at |\x1b/)
  expect(await readFile(join(at.root, 'canary'), 'utf8')).toBe('sings')
  for (const file of outputs[binary]) expect(existsSync(join(at.root, file)), file).toBe(false)
}

describe.each(documents)('P: $binary reads $file', ({ binary, file, wrong, status }) => {
  const text = good[file] as string

  it.each(unreadable(text, wrong))('%s: refused by name', async (_what, spoil) => {
    await expectRefused(binary, await spoilt(binary, root => spoil(join(root, file))), status, file)
  })

  it.each(readable(text))('%s: taken', async (_what, content) => {
    const at = await spoilt(binary, root => writeFile(join(root, file), content))
    const { code, output } = await runBinary(binary, at)
    expect(code, output).toBe(0)
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })
})

describe('when what was wrong is put right', () => {
  it.each(['detector', 'builder'] as const)('%s works as if nothing had been', async binary => {
    const file = binary === 'detector' ? 'cnb/order.toml' : 'layers/plan.toml'
    const at = await spoilt(binary, root => writeFile(join(root, file), 'x = 1\nx = 2\n'))
    await expectRefused(binary, at, 1, file)
    await writeTree(at.root, { [file]: good[file] as string })
    const { code } = await runBinary(binary, at)
    const reference = await spoilt(binary, () => Promise.resolve())
    await runBinary(binary, reference)
    const written = await Promise.all([at, reference].map(p => readFile(join(p.root, outputs[binary][0]), 'utf8')))
    expect([code, written[0]]).toEqual([0, written[1]])
  })
})

describe('P10 an empty document', () => {
  it.each([
    ['detector', 'cnb/order.toml', 20],
    ['detector', 'cnb/system.toml', 0],
    ['detector', 'layers/analyzed.toml', 0],
    ['builder', 'layers/plan.toml', 0],
  ] as const)('%s, %s: exit status %d', async (binary, file, status) => {
    const at = await spoilt(binary, root => writeFile(join(root, file), ''))
    if (status !== 0) return expectRefused(binary, at, status, file)
    expect((await runBinary(binary, at)).code).toBe(0)
  })
  it.each([
    ['detector', 'cnb/order.toml'],
    ['builder', 'layers/group.toml'],
    ['builder', 'layers/plan.toml'],
  ] as const)('%s, %s that is missing: 1', async (binary, file) => {
    await expectRefused(binary, await spoilt(binary, root => rm(join(root, file))), 1, file)
  })
})

const ordered = (...ids: string[]): string =>
  `[[order]]\n${ids.map(id => `[[order.group]]\nid = ${JSON.stringify(id)}\nversion = "1.0.0"\n`).join('')}`
const grouped = (...ids: string[]): string =>
  ids.map(id => `[[group]]\nid = ${JSON.stringify(id)}\nversion = "1.0.0"\napi = "0.12"\n`).join('')

describe('D: ids and versions', () => {
  const bad: readonly (readonly [string, readonly string[]])[] = [
    ['D01 the id ..', ['..']],
    ['D01 the id .', ['.']],
    ['D01 the id a/../../b', ['a/../../b']],
    ['D04 the reserved id app', ['app']],
    ['D04 the reserved id config', ['config']],
    ['D04 the reserved id generated', ['generated']],
    ['D04 the reserved id sbom', ['sbom']],
    ['D05 an empty id', ['']],
    ['D05 an id of 10 kB', ['x'.repeat(10_000)]],
    ['D05 an id with a newline', ['a\nb']],
  ]
  it.each(bad)('%s: detector 1, by order.toml', async (_what, ids) => {
    const at = await spoilt('detector', root => writeFile(join(root, 'cnb/order.toml'), ordered(...ids)))
    await expectRefused('detector', at, 1, 'cnb/order.toml:3 order[0].group[0].id')
  })
  it.each([...bad, ['D02 a/b beside a_b', ['a/b', 'a_b']], ['D03 A beside a', ['A', 'a']]] as const)(
    '%s: builder 1, by group.toml',
    async (_what, ids) => {
      const at = await spoilt('builder', root => writeFile(join(root, 'layers/group.toml'), grouped(...ids)))
      await expectRefused('builder', at, 1, 'layers/group.toml')
    },
  )
  it.each([
    ['D02 a/b beside a_b', 1, ['a/b', 'a_b']],
    ['D03 A beside a', 22, ['A', 'a']],
  ] as const)('%s: detector %d', async (_what, status, ids) => {
    const at = await spoilt('detector', async root => {
      for (const id of ids) await writeTree(root, underCnb(buildpack(id, {})))
      await writeFile(join(root, 'cnb/order.toml'), ordered(...ids))
    })
    await expectRefused('detector', at, status, ids[0])
  })
  it.each(['..', '../../../layers', 'a/b', '\n'])('D06 the version %j', async version => {
    const text = (key: string): string => `${key}\nid = "one"\nversion = ${JSON.stringify(version)}\napi = "0.12"\n`
    const order = await spoilt('detector', root =>
      writeFile(join(root, 'cnb/order.toml'), text('[[order]]\n[[order.group]]')),
    )
    await expectRefused('detector', order, 1, 'version')
    const group = await spoilt('builder', root => writeFile(join(root, 'layers/group.toml'), text('[[group]]')))
    await expectRefused('builder', group, 1, 'version')
  })
})

describe('D: orders and descriptors', () => {
  const composite = (...groups: string[][]): string =>
    `api = "0.12"\n[buildpack]\nid = "one"\nversion = "1.0.0"\n${groups.map(g => ordered(...g)).join('')}`
  const descriptor = 'cnb/buildpacks/one/1.0.0/buildpack.toml'

  it('D07 a cyclic order', async () => {
    const at = await spoilt('detector', root => writeFile(join(root, descriptor), composite(['one'])))
    await expectRefused('detector', at, 22, 'one@1.0.0 → one@1.0.0')
  })
  it('D07 10,000 groups', async () => {
    const wide = composite(...Array.from({ length: 101 }, () => ['two']))
    const at = await spoilt('detector', async root => {
      await writeTree(root, underCnb(buildpack('two', {})))
      await writeFile(join(root, descriptor), wide)
      await writeFile(join(root, 'cnb/order.toml'), ordered('one', 'one'))
      await rm(join(root, 'cnb/system.toml'))
    })
    await expectRefused('detector', at, 22, 'more than 10000 groups')
  })
  it.each(['detect', 'build'] as const)(
    'D17 bin/%s is missing, not executable, or has a bad interpreter',
    async name => {
      const binary = name === 'detect' ? 'detector' : 'builder'
      const file = `cnb/buildpacks/one/1.0.0/bin/${name}`
      for (const spoil of [
        (path: string) => rm(path),
        (path: string) => chmod(path, 0o644),
        (path: string) => writeFile(path, '#!/no/such\n'),
      ]) {
        const at = await spoilt(binary, root => spoil(join(root, file)))
        await expectRefused(binary, at, binary === 'detector' ? 22 : 52, file)
      }
    },
  )
  it('D17 far too much output passes through, and memory stays bounded', async () => {
    const build = 'yes "$(printf %01000d 0)" | head -c 20000000'
    const at = await spoilt('builder', root => writeTree(root, one({ build })))
    const before = process.memoryUsage().rss
    let bytes = 0
    const { code } = await runBinary('builder', at, { onOutput: text => (bytes += text.length) })
    expect(code).toBe(0)
    expect(bytes).toBeGreaterThanOrEqual(20_000_000)
    expect(process.memoryUsage().rss - before).toBeLessThan(200 << 20)
  })
  describe('D17 as a process, whose output is a pipe with a slow reader', () => {
    /** bin/build that prints this, in a builder whose memory and pipe are its own. */
    async function startBuilder(build: string) {
      const { env } = await spoilt('builder', root => writeTree(root, one({ build })))
      // A user other than root, whom creator alone has.
      const user = process.geteuid?.() === 0 ? { uid: 1000, gid: 1000 } : {}
      if ('uid' in user) execFileSync('chown', ['-R', '1000:1000', env['HOME'] ?? ''])
      const argv = ['--disable-sigusr1', join(import.meta.dirname, '../../../lifecycle/cli/phase.ts'), 'builder']
      const child = spawn(process.execPath, argv, { env, ...user, stdio: ['ignore', 'pipe', 'pipe'] })
      onTestFinished(() => void child.kill('SIGKILL'))
      /** MB at the most, so far. */
      const peak = () => Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024
      return { child, peak, ended: once(child, 'close').then(([code]) => code as number) }
    }

    it.each([
      ['lines', 'yes "$(printf %0999d 0)" | head -c 200000000', 200_000_000],
      ['no end of a line', 'head -c 200000000 /dev/zero | tr "\\0" 0', 200_000_000],
      ['ends of lines alone', 'yes "" | head -c 500000', 500_000],
    ])('%s: all of it arrives, and then why it failed', { timeout: 60_000 }, async (_what, prints, least) => {
      const { child, peak, ended } = await startBuilder(`${prints}; echo LAST; exit 9`)
      let [bytes, tail, most, errors] = [0, '', 0, '']
      child.stderr.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString('latin1')).slice(-2000)))
      await once(child.stdout, 'readable')
      await sleep(1000) // nothing is read
      for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
        if (bytes % 20_000_000 < chunk.length) most = Math.max(most, readPeak(peak))
        bytes += chunk.length
        tail = (tail + chunk.toString('latin1')).slice(-2000)
      }
      expect(await ended, tail + errors).toBe(51)
      expect(bytes).toBeGreaterThanOrEqual(least)
      expect(tail + errors).toMatch(/LAST\n[^]*exited with status 9/)
      expect(most).toBeGreaterThan(30)
      expect(most).toBeLessThan(200) // Node alone needs 100
    })

    it('a reader that goes away ends the buildpack', { timeout: 30_000 }, async () => {
      const word = uniqueWord()
      const { child, ended } = await startBuilder(`yes "$(printf %0999d ${word})"`)
      await once(child.stdout, 'data')
      child.stdout.destroy()
      expect(await ended).not.toBe(0)
      expect(await processesWith(word)).toEqual([])
    })
  })

  it.each(['0.6', '0.13', '1.0', 'x'])('D18 Buildpack API %s: 12', async api => {
    for (const binary of ['detector', 'builder'] as const)
      await expectRefused(binary, await spoilt(binary, root => writeTree(root, one({ api }))), 12, `"${api}"`)
  })
  it.each(['0.6', '0.16', '1.0', 'x', ''])('D18 Platform API %j: 11, before anything else', async api => {
    for (const binary of ['detector', 'builder']) {
      const at = { root: '/', env: { CNB_PLATFORM_API: api } }
      const { code, output } = await runBinary(binary, at, { args: ['-nope'] })
      expect([code, output.trimEnd().split('\n').length]).toEqual([11, 1])
    }
  })
})

/** The last reading, once the process is gone. */
function readPeak(peak: () => number): number {
  try {
    return peak()
  } catch {
    return 0
  }
}

describe('D: what bin/build leaves', () => {
  const launch = (text: string): string => `printf '%s' '${text}' > "$1/launch.toml"`
  const typed = (name: string): string => `printf '[types]\\nlaunch = true\\n' > "$1/${name}.toml"`
  const web = '[[processes]]\ntype = "web"\ncommand = ["x"]\n'
  it.each([
    ['D08 ...toml', ': > "$1/...toml"', '...toml'],
    ['D08 ..toml', ': > "$1/..toml"', '..toml'],
    ['D08 .toml', ': > "$1/.toml"', '.toml'],
    ['D09 a layer named sbom', typed('sbom'), 'sbom.toml'],
    ['D10 X20 a layer that is a link', `ln -s / "$1/l"; ${typed('l')}`, 'layers/one/l'],
    ['D11 X23 a layer toml that is a link', 'ln -s /etc/passwd "$1/l.toml"', 'layers/one/l.toml'],
    ['D11 X29 a layer toml that is a fifo', 'mkfifo "$1/l.toml"', 'layers/one/l.toml'],
    [
      'D11 X23 an SBOM that is a link',
      `mkdir "$1/l"; ${typed('l')}; ln -s /etc/passwd "$1/l.sbom.cdx.json"`,
      'l.sbom.cdx.json',
    ],
    ['D11 X29 an SBOM that is a fifo', `mkdir "$1/l"; ${typed('l')}; mkfifo "$1/l.sbom.cdx.json"`, 'l.sbom.cdx.json'],
    ['D13 the process type ..', launch(web.replace('web', '..')), 'launch.toml:2 processes[0].type'],
    ['D13 the process type /', launch(web.replace('web', '/')), 'launch.toml:2 processes[0].type'],
    ['D13 a process type of 300 bytes', launch(web.replace('web', 'x'.repeat(300))), 'launch.toml:2 processes[0].type'],
    ['D13 a process type twice', launch(web + web), 'launch.toml:5 processes[1].type'],
    ['D13 two defaults', launch(`${web}default = true\n${web.replace('web', 'b')}default = true\n`), 'launch.toml:8'],
    [
      'D14 a working directory outside the app',
      launch(`${web}working-dir = "../x"\n`),
      'launch.toml:4 processes[0].working-dir',
    ],
    ['D15 a slice outside the app', launch('[[slices]]\npaths = ["../**"]\n'), 'launch.toml:2 slices[0].paths'],
    [
      'D16 a label of 10 MB',
      `{ printf '[[labels]]\\nkey = "k"\\nvalue = "'; head -c 10000000 /dev/zero | tr '\\0' x; echo '"'; } > "$1/launch.toml"`,
      'launch.toml:3 labels[0].value',
    ],
  ])('%s: 52', async (_what, build, named) => {
    await expectRefused('builder', await spoilt('builder', root => writeTree(root, one({ build }))), 52, named)
  })
})

describe('X31 the name of a variable that would forge a line: one line, which shows it for what it is', () => {
  const name = 'A=B\nERROR: all is lost\x1b[2J'
  const shown = /A=B\\(n|x0a|u000a)ERROR: all is lost\\(x1b|u001b|x\{1b\})/

  it.each(['platform/env', 'cnb/build-config/env'])('in %s', async dir => {
    const at = await spoilt('builder', root => writeFile(join(root, dir, name), 'x'))
    const { code, output } = await runBinary('builder', at)
    expect([1, 52], output).toContain(code)
    expect(output.trimEnd().split('\n').at(-1)).toMatch(shown)
    expect(output.match(/^ERROR: /gm)).toHaveLength(1)
    expect(output).not.toContain('\x1b')
  })

  it('in a layer', async () => {
    const build = `mkdir -p "$1/l/env"; printf '[types]\\nbuild = true\\n' > "$1/l.toml"
: > "$1/l/env/$(printf 'A=B\\nERROR: all is lost\\033[2J')"`
    const at = await spoilt('builder', root => writeTree(root, one({ build })))
    await expectRefused('builder', at, 52, 'layers/one/l/env/A=B')
    expect((await runBinary('builder', at)).output.trimEnd().split('\n').at(-1)).toMatch(shown)
  })
})

describe('E: variables of the user and the operator', () => {
  it.each([
    ['E01 a NUL', 'X', 'a\0b'],
    ['E03 a value over 128 KiB', 'X', 'x'.repeat(140_000)],
    ['E05 a name with =', 'A=B', 'x'],
    ['E07 a reserved name', 'CNB_TARGET_OS', 'x'],
    ['E12 a value that is not UTF-8', 'X', Buffer.from([0xff])],
  ])('%s is refused by name', async (_what, name, value) => {
    for (const [binary, status] of [
      ['detector', [1, 22]],
      ['builder', [1, 52]],
    ] as const)
      for (const dir of ['platform/env', 'cnb/build-config/env']) {
        const at = await spoilt(binary, root => writeFile(join(root, dir, name), value))
        const { code, output } = await runBinary(binary, at)
        expect(status, output).toContain(code)
        expect(output).toMatch(new RegExp(`^ERROR: [^\n]*${dir}/${name}[^\n]*\n$`, 'm'))
      }
  })

  it('E02 E08 newlines stay, fifos are passed over, and links are followed', async () => {
    const script = 'env -0 > "$CNB_PLATFORM_DIR/seen"'
    const at = await spoilt('builder', async root => {
      await writeTree(root, one({ build: script }))
      await writeTree(root, {
        'platform/env/LINES': 'a\nb\n',
        'kubernetes/data': 'linked',
        'platform/env/LINKED': { link: '../../kubernetes/data' },
      })
      execFileSync('mkfifo', [join(root, 'platform/env/FIFO')])
    })
    expect((await runBinary('builder', at)).code).toBe(0)
    const seen = (await readFile(join(at.root, 'platform/seen'), 'utf8')).split('\0')
    expect(seen).toEqual(expect.arrayContaining(['LINES=a\nb\n', 'LINKED=linked']))
    expect(seen.filter(line => line.startsWith('FIFO'))).toEqual([])
  })
})
