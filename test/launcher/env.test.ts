/** buildpack.md#environment and platform.md#launch-environment: what the app finds in its environment. */
import { expect, it } from 'vitest'
import { buildpack, describeLauncher, isOneErrorLine, link, processType, webMetadata, type Tree } from './harness.ts'

const metadata = '/layers/config/metadata.toml'
const layer = '/layers/acme_one/layer'

/** The image of `web` with these files in its one layer. */
const inLayer = (files: Tree): Tree => ({
  [metadata]: webMetadata(),
  ...Object.fromEntries(Object.entries(files).map(([path, entry]) => [`${layer}/${path}`, entry])),
})

describeLauncher('env files: suffixes', run => {
  for (const [title, files, before, expected] of [
    ['no suffix overrides', { 'env/X': 'new' }, 'old', 'new'],
    ['no suffix sets', { 'env/X': 'new' }, undefined, 'new'],
    ['.override overrides', { 'env/X.override': 'new' }, 'old', 'new'],
    ['.default does not override', { 'env/X.default': 'new' }, 'old', 'old'],
    ['.default sets', { 'env/X.default': 'new' }, undefined, 'new'],
    ['.default sets what is empty', { 'env/X.default': 'new' }, '', 'new'],
    ['.append appends, without a delimiter', { 'env/X.append': 'new' }, 'old', 'oldnew'],
    ['.append to nothing', { 'env/X.append': 'new', 'env/X.delim': ':' }, undefined, 'new'],
    ['.append to the empty', { 'env/X.append': 'new', 'env/X.delim': ':' }, '', 'new'],
    ['.append with .delim', { 'env/X.append': 'new', 'env/X.delim': ', ' }, 'old', 'old, new'],
    ['.prepend prepends, without a delimiter', { 'env/X.prepend': 'new' }, 'old', 'newold'],
    ['.prepend with .delim', { 'env/X.prepend': 'new', 'env/X.delim': ':' }, 'old', 'new:old'],
    ['.prepend to nothing', { 'env/X.prepend': 'new', 'env/X.delim': ':' }, undefined, 'new'],
    ['.delim alone does nothing', { 'env/X.delim': ':' }, 'old', 'old'],
    ['an unknown suffix does nothing', { 'env/X.unknown': 'new' }, 'old', 'old'],
    ['an unknown last suffix does nothing', { 'env/X.append.bak': 'new' }, 'old', 'old'],
    ['an empty suffix does nothing', { 'env/X.': 'new' }, 'old', 'old'],
    ['an empty file empties', { 'env/X': '' }, 'old', ''],
    ['a newline at the end is kept', { 'env/X': 'a\nb\n' }, 'old', 'a\nb\n'],
    ['nothing is expanded', { 'env/X': '$HOME `id` \\n' }, 'old', '$HOME `id` \\n'],
    [
      'append and prepend of one directory',
      { 'env/X.append': 'a', 'env/X.prepend': 'p', 'env/X.delim': '-' },
      'old',
      'p-old-a',
    ],
    ['a directory is not a variable', { 'env/X/Y': 'new' }, 'old', 'old'],
    [
      'a link to a file is one',
      { 'env/X': link('{root}/workspace/value'), '../../../workspace/value': 'linked' },
      'old',
      'linked',
    ],
  ] as const)
    it(title, async () => {
      const { app, code } = await run(inLayer(files), { env: { X: before } })
      expect([code, app.env.X]).toEqual([0, expected])
    })

  it('bytes that are not UTF-8 are kept', async () => {
    const { stdout } = await run(inLayer({ 'env/X': Buffer.from([0xff, 0x41, 0xfe]) }))
    expect(stdout).toContain('X=\ufffdA\ufffd\0')
  })
})

describeLauncher('env files: the directories of one layer', run => {
  const all = (suffix: string): Tree => ({
    [`env/X${suffix}`]: '1',
    [`env.launch/X${suffix}`]: '2',
    [`env.launch/web/X${suffix}`]: '3',
    [`env.launch/worker/X${suffix}`]: 'wrong process',
    [`env.build/X${suffix}`]: 'wrong phase',
  })
  for (const [suffix, expected] of [
    ['', '3'],
    ['.override', '3'],
    ['.default', 'old'],
    ['.append', 'old123'],
    ['.prepend', '321old'],
  ] as const)
    it(`X${suffix}: env, env.launch, env.launch/<process>`, async () => {
      expect((await run(inLayer(all(suffix)), { env: { X: 'old' } })).app.env.X).toBe(expected)
    })

  it('.default: env wins over env.launch, that over env.launch/<process>', async () => {
    expect((await run(inLayer(all('.default')))).app.env.X).toBe('1')
    expect((await run(inLayer({ 'env.launch/X.default': '2', 'env.launch/web/X.default': '3' }))).app.env.X).toBe('2')
  })

  it("a user's command has no process: env.launch/<process> does not apply", async () => {
    const { app } = await run(inLayer(all('')), { as: 'launcher', args: ['--', 'show'] })
    expect(app.env.X).toBe('2')
  })

  // buildpack.md#delimiter: "any concatenation within the same layer"
  for (const [title, files, expected] of [
    ['of env counts in env.launch', { 'env/X.delim': ':', 'env.launch/X.append': 'a' }, 'old:a'],
    ['of env.launch counts in env', { 'env/X.append': 'a', 'env.launch/X.delim': ':' }, 'old:a'],
    [
      'of the same directory comes first',
      { 'env/X.append': 'a', 'env/X.delim': ':', 'env.launch/X.delim': '-' },
      'old:a',
    ],
    [
      'of the process comes before that of env',
      { 'env/X.delim': ':', 'env.launch/X.append': 'a', 'env.launch/web/X.delim': '-' },
      'old-a',
    ],
    ['of another variable does not count', { 'env/Y.delim': ':', 'env/X.append': 'a' }, 'olda'],
  ] as const)
    it(`a delimiter ${title}`, async () => {
      expect((await run(inLayer(files as unknown as Tree), { env: { X: 'old' } })).app.env.X).toBe(expected)
    })

  it('a delimiter ends with its layer', async () => {
    const tree = {
      [metadata]: webMetadata(),
      '/layers/acme_one/a/env/X.delim': ':',
      '/layers/acme_one/a/env/X.append': 'a',
      '/layers/acme_one/b/env/X.append': 'b',
    }
    expect((await run(tree, { env: { X: 'old' } })).app.env.X).toBe('old:ab')
  })
})

describeLauncher('env files: order between buildpacks and layers', run => {
  // The group's order is that of metadata.toml, not that of names.
  const toml =
    buildpack('zeta/first') + buildpack('acme/second') + processType('web', { command: ['show'], direct: true })
  const four = (suffix: string): Tree => ({
    [metadata]: toml,
    [`/layers/zeta_first/a/env/X${suffix}`]: '1',
    [`/layers/zeta_first/b/env/X${suffix}`]: '2',
    [`/layers/acme_second/a/env/X${suffix}`]: '3',
    [`/layers/acme_second/b/env/X${suffix}`]: '4',
    [`/layers/not_listed/a/env/X${suffix}`]: 'not listed',
  })
  for (const [suffix, expected] of [
    ['', '4'],
    ['.override', '4'],
    ['.default', '1'],
    ['.append', '1234'],
    ['.prepend', '4321'],
  ] as const)
    it(`X${suffix}`, async () => {
      expect((await run(four(suffix))).app.env.X).toBe(expected)
    })

  it('names are ordered by bytes', async () => {
    const names = ['B', 'a', 'a-1', 'a.1', 'a1', 'é', '\u{10000}']
    const tree = Object.fromEntries(names.map(name => [`/layers/zeta_first/${name}/env/X.append`, `${name} `]))
    const sorted = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    expect((await run({ [metadata]: toml, ...tree })).app.env.X).toBe(sorted.map(name => `${name} `).join(''))
  })

  it('a file, a link and a missing directory are no layers', async () => {
    const tree = {
      [metadata]: toml + buildpack('acme/without-layers'),
      '/layers/zeta_first/launch.toml': '',
      '/layers/zeta_first/linked': link('{root}/elsewhere'),
      '/elsewhere/env/X': 'from a link',
    }
    const { app, code } = await run(tree)
    expect([code, app.env.X]).toEqual([0, undefined])
  })

  it('two buildpacks that share a directory have its layers applied once', async () => {
    const shared = buildpack('a/b') + buildpack('a_b') + processType('web', { command: ['show'], direct: true })
    const { app } = await run({ [metadata]: shared, '/layers/a_b/l/env/X.append': 'x', '/layers/a_b/l/bin/': '' })
    expect([app.env.X, app.env.PATH]).toEqual(['x', '/layers/a_b/l/bin:/bin:/usr/bin:/bin'])
  })
})

describeLauncher('layer paths', run => {
  const toml =
    buildpack('zeta/first') + buildpack('acme/second') + processType('web', { command: ['show'], direct: true })
  const tree = {
    [metadata]: toml,
    '/layers/zeta_first/a/bin/': '',
    '/layers/zeta_first/b/bin/': '',
    '/layers/zeta_first/b/lib/': '',
    '/layers/acme_second/a/bin/': '',
    '/layers/acme_second/a/lib/': '',
    '/layers/acme_second/b/bin/': '',
    '/layers/acme_second/c/bin': 'a file',
    '/layers/acme_second/d/include/': '',
    '/layers/acme_second/d/pkgconfig/': '',
  }
  const bins = '/layers/acme_second/a/bin:/layers/acme_second/b/bin:/layers/zeta_first/a/bin:/layers/zeta_first/b/bin'

  it('later buildpacks come first, the layers of one in ascending order', async () => {
    const { app } = await run(tree, { env: { LD_LIBRARY_PATH: '/old' } })
    expect(app.env.PATH).toBe(`${bins}:/bin:/usr/bin:/bin`)
    expect(app.env.LD_LIBRARY_PATH).toBe('/layers/acme_second/a/lib:/layers/zeta_first/b/lib:/old')
  })

  it('no delimiter at the end when there was nothing before', async () => {
    const { app } = await run(
      { ...tree, '/layers/zeta_first/b/bin/show': link('{root}/bin/show') },
      { env: { PATH: '/cnb/process' } },
    )
    expect(app.env.PATH).toBe(bins)
    expect(app.env.LD_LIBRARY_PATH).toBe('/layers/acme_second/a/lib:/layers/zeta_first/b/lib')
  })

  it('the paths of the build phase are not set', async () => {
    const { app } = await run(tree)
    expect([app.env.LIBRARY_PATH, app.env.CPATH, app.env.PKG_CONFIG_PATH]).toEqual([undefined, undefined, undefined])
  })

  it('env files come after the paths of their buildpack and before those of the next', async () => {
    const files = { '/layers/zeta_first/a/env/PATH.prepend': '/p:', '/layers/zeta_first/a/env/PATH.append': ':/a' }
    const { app } = await run({ ...tree, ...files })
    const [first, second] = [
      '/layers/zeta_first/a/bin:/layers/zeta_first/b/bin',
      '/layers/acme_second/a/bin:/layers/acme_second/b/bin',
    ]
    expect(app.env.PATH).toBe(`${second}:/p:${first}:/bin:/usr/bin:/bin:/a`)
  })
})

describeLauncher('launch environment', run => {
  for (const [before, after] of [
    ['/cnb/process:/cnb/lifecycle:{root}/bin', '/bin'],
    ['{root}/bin:/cnb/process', '/bin'],
    ['/a:/cnb/process/:/cnb/lifecycle:{root}/bin:/cnb/process', '/a:/bin'],
    ['/a::{root}/bin:', '/a::/bin:'],
    [':/cnb/process:{root}/bin', ':/bin'],
    ['/cnb/processes:{root}/bin:/x/cnb/process', '/cnb/processes:/bin:/x/cnb/process'],
  ] as const)
    it(`PATH ${before} becomes ${after}`, async () => {
      expect((await run({ [metadata]: webMetadata() }, { env: { PATH: before } })).app.env.PATH).toBe(after)
    })

  it('an empty element of PATH is the current directory', async () => {
    const tree = { [metadata]: webMetadata(), '/workspace/show': link('{root}/bin/show') }
    expect((await run(tree, { env: { PATH: '/nothing:' } })).code).toBe(0)
  })

  it("keeps the user's and the image's variables, and drops the launcher's own", async () => {
    const env = {
      HOME: '/home/x',
      BPL_X: '1',
      CNB_TARGET_OS: 'linux',
      EMPTY: '',
      CNB_DEPRECATION_MODE: 'quiet',
      CNB_PROCESS_TYPE: 'x',
    }
    const { app } = await run({ [metadata]: webMetadata() }, { env })
    expect(app.env).toMatchObject({ HOME: '/home/x', BPL_X: '1', CNB_TARGET_OS: 'linux', EMPTY: '' })
    for (const name of ['APP_DIR', 'LAYERS_DIR', 'PROCESS_TYPE', 'PLATFORM_API', 'DEPRECATION_MODE'])
      expect(app.env).not.toHaveProperty(`CNB_${name}`)
  })

  it('20,000 variables of a large cluster take no noticeable time', async () => {
    const env = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`S_${i}`, 'x']))
    const { app, code } = await run({ [metadata]: webMetadata() }, { env, deadline: 5_000 })
    expect([code, Object.keys(app.env).length]).toEqual([0, 20_001])
  })
})

describeLauncher('env files: hostile', run => {
  for (const [title, files, expected] of [
    ['E01 a NUL', { 'env/X': 'a\0b' }, 'env/X holds a NUL byte'],
    ['E04 over a megabyte', { 'env/X': 'x'.repeat((1 << 20) + 1) }, 'env/X is too large: the limit is 1048576 bytes'],
    ['E05 an empty name', { 'env/.append': 'x' }, "env/.append: the file's name is not a variable's name"],
    ['E05 a name with =', { 'env/A=B': 'x' }, "env/A=B: the file's name is not a variable's name"],
    [
      'E08 a link to nothing',
      { 'env/X': link('/no/such/file') },
      'cannot read /layers/acme_one/layer/env/X: no such file',
    ],
    ['E08 a link to a device', { 'env/X': link('/dev/zero') }, 'env/X: not a regular file'],
    ['E09 a delimiter with NUL', { 'env/X.append': 'x', 'env/X.delim': '\0' }, 'env/X.delim holds a NUL byte'],
    ['a name with control characters', { 'env/A\n\x1b[31m=': 'x' }, 'env/A\\n\\x1b[31m='],
  ] as const)
    it(`${title}: 82, and the file`, async () => {
      const { code, stderr } = await run(inLayer(files), { env: { X: 'old' } })
      expect([code, stderr]).toEqual([82, expect.stringContaining(expected)])
      expect(isOneErrorLine(stderr)).toBe(true)
    })

  it('E03 a value over 128 KiB: 82, and the variable', async () => {
    const { code, stderr } = await run(inLayer({ 'env/X': 'x'.repeat(140_000) }))
    expect([code, stderr]).toEqual([
      82,
      'ERROR: cannot run /bin/show: environment variable X has 140002 bytes, and the limit is 131071\n',
    ])
  })

  it('E06 a dangerous variable is the buildpack’s right', async () => {
    expect((await run(inLayer({ 'env/LD_PRELOAD': '/x.so' }))).app.env.LD_PRELOAD).toBe('/x.so')
  })

  it('E10 names such as .gitkeep are no variables', async () => {
    expect((await run(inLayer({ 'env/.gitkeep': '', 'env/.DS_Store': '\0' }))).code).toBe(0)
  })

  it('E11 a thousand files', async () => {
    const files = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`env/V_${i}`, `${i}`]))
    expect((await run(inLayer(files))).app.env.V_999).toBe('999')
  })
})
