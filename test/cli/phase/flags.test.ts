import { describe, expect, it } from 'vitest'
import { binaries } from '../../../lifecycle/cli/phase/binaries.ts'
import { type FlagName, flags, flagsAt, parseFlags } from '../../../lifecycle/cli/phase/flags.ts'
import { requirePlatformApi, supportedPlatformApis } from '../../../lifecycle/spec/api.ts'

// Written from the usage of each binary in platform.md and its changelog: `name`, `name from`, `<until name`. Bale's own flags are
// annotation, check-start, label, only-image and secrets.
const expected: Record<string, string> = {
  analyzer: `analyzed cache-image daemon uid gid layers previous-image run-image tag launch-cache@0.9 skip-layers@0.9
    run@0.12 layout@0.12 layout-dir@0.12 insecure-registry@0.13 stack<0.12`,
  detector: `app buildpacks group layers order plan platform analyzed@0.10 extensions@0.10 generated@0.10 build-config@0.11
    run@0.12 system@0.15 secrets`,
  restorer: `analyzed cache-dir cache-image group layers skip-layers uid gid build-image@0.10 daemon@0.12 generated@0.12
    layout@0.12 layout-dir@0.12 insecure-registry@0.13 run@0.14`,
  extender: `analyzed@0.10 app@0.10 buildpacks@0.10 generated@0.10 group@0.10 layers@0.10 plan@0.10 platform@0.10 uid@0.10
    gid@0.10 kaniko-cache-ttl@0.10 build-config@0.11 kind@0.12 extended@0.12 secrets@0.10 only-image@0.10`,
  builder: 'app buildpacks group layers plan platform build-config@0.11 analyzed@0.12 secrets',
  exporter: `analyzed app cache-dir cache-image daemon uid gid launch-cache launcher group layers process-type project-metadata
    report parallel image run-image launcher-sbom@0.11 run@0.12 extended@0.12 layout@0.12 layout-dir@0.12
    insecure-registry@0.13 stack<0.12 annotation check-start label secrets`,
  creator: `app buildpacks cache-dir cache-image daemon uid gid launch-cache launcher layers order parallel platform
    previous-image process-type project-metadata report run-image skip-restore stack tag build-config@0.11
    launcher-sbom@0.11 run@0.12 layout@0.12 layout-dir@0.12 insecure-registry@0.13 system@0.15 annotation check-start label secrets`,
  rebaser: `daemon run-image image report uid gid previous-image@0.11 force@0.12 insecure-registry@0.13`,
}
const common = ['log-level', 'no-color', 'version']
const minor = (api: string): number => Number(api.slice(2))

const rows = Object.entries(expected).flatMap(([binary, words]) =>
  words.split(/\s+/).map(word => {
    const [, name = '', sign, api = ''] = /^([a-z-]+)(?:([@<])(.*))?$/.exec(word) ?? []
    const from = sign === '@' ? minor(api) : 0
    const before = sign === '<' ? minor(api) : 99
    return { binary, name, apis: supportedPlatformApis.filter(a => minor(a) >= from && minor(a) < before) }
  }),
)

const at = (binary: string, api: string): readonly FlagName[] => {
  const table = binaries[binary]?.flags
  if (table === undefined) throw new Error(binary)
  return flagsAt(table, requirePlatformApi(api))
}

describe('which binary has which flag at which API', () => {
  it.each(rows)('$binary -$name', ({ binary, name, apis }) => {
    expect(supportedPlatformApis.filter(api => at(binary, api).includes(name as FlagName))).toEqual(apis)
  })
  it.each(Object.keys(expected))('%s has no others', binary => {
    for (const api of supportedPlatformApis) {
      const known = rows.filter(r => r.binary === binary && r.apis.includes(api)).map(r => r.name)
      expect(at(binary, api)).toEqual([...known, ...common].sort())
    }
  })
  it('knows every binary', () => expect(Object.keys(binaries).sort()).toEqual(Object.keys(expected).sort()))
})

const all = Object.keys(flags) as FlagName[]

// platform.md, the "Env" and "Default Value" columns.
const inputs: readonly (readonly [FlagName, string | undefined, string | undefined])[] = [
  ['analyzed', 'CNB_ANALYZED_PATH', '/l/analyzed.toml'],
  ['app', 'CNB_APP_DIR', '/workspace'],
  ['build-config', 'CNB_BUILD_CONFIG_DIR', '/cnb/build-config'],
  ['build-image', 'CNB_BUILD_IMAGE', undefined],
  ['buildpacks', 'CNB_BUILDPACKS_DIR', '/cnb/buildpacks'],
  ['cache-dir', 'CNB_CACHE_DIR', undefined],
  ['cache-image', 'CNB_CACHE_IMAGE', undefined],
  ['extended', 'CNB_EXTENDED_DIR', '/l/extended'],
  ['extensions', 'CNB_EXTENSIONS_DIR', '/cnb/extensions'],
  ['generated', 'CNB_GENERATED_DIR', '/l/generated'],
  ['group', 'CNB_GROUP_PATH', '/l/group.toml'],
  ['kaniko-cache-ttl', 'CNB_KANIKO_CACHE_TTL', undefined],
  ['kind', 'CNB_EXTEND_KIND', 'build'],
  ['launch-cache', 'CNB_LAUNCH_CACHE_DIR', undefined],
  ['launcher', undefined, '/cnb/lifecycle/launcher'],
  ['launcher-sbom', undefined, '/cnb/lifecycle'],
  ['layout-dir', 'CNB_LAYOUT_DIR', undefined],
  ['log-level', 'CNB_LOG_LEVEL', 'info'],
  ['order', 'CNB_ORDER_PATH', undefined],
  ['plan', 'CNB_PLAN_PATH', '/l/plan.toml'],
  ['platform', 'CNB_PLATFORM_DIR', '/platform'],
  ['previous-image', 'CNB_PREVIOUS_IMAGE', undefined],
  ['process-type', 'CNB_PROCESS_TYPE', undefined],
  ['project-metadata', 'CNB_PROJECT_METADATA_PATH', '/l/project-metadata.toml'],
  ['report', 'CNB_REPORT_PATH', '/l/report.toml'],
  ['run', 'CNB_RUN_PATH', '/cnb/run.toml'],
  ['run-image', 'CNB_RUN_IMAGE', undefined],
  ['stack', 'CNB_STACK_PATH', '/cnb/stack.toml'],
  ['system', 'CNB_SYSTEM_PATH', '/cnb/system.toml'],
]

describe('a flag, its twin and its default', () => {
  it.each(inputs)('-%s, %s, %s', (name, twin, fallback) => {
    const layers = { CNB_LAYERS_DIR: '/l' }
    const env = twin === undefined ? layers : { ...layers, [twin]: 'twin' }
    const read = (argv: string[], e: Record<string, string>) => parseFlags(all, argv, e).text(name)
    expect(read([], layers)).toBe(fallback)
    expect(read([], env)).toBe(twin === undefined ? fallback : 'twin')
    expect(read([`-${name}`, 'own'], env)).toBe('own')
    // An empty value counts as none.
    expect(read([`-${name}=`], env)).toBe(twin === undefined ? fallback : 'twin')
    expect(read([`-${name}=`], twin === undefined ? layers : { ...layers, [twin]: '' })).toBe(fallback)
  })
  it('-layers moves what lies below it', () => {
    const read = (argv: string[], env: Record<string, string> = {}) => parseFlags(all, argv, env).path('group')
    expect([read([]), read(['-layers=/x']), read([], { CNB_LAYERS_DIR: '/y' })]).toEqual([
      '/layers/group.toml',
      '/x/group.toml',
      '/y/group.toml',
    ])
  })
  it.each([
    ['daemon', 'CNB_USE_DAEMON'],
    ['force', 'CNB_FORCE_REBASE'],
    ['layout', 'CNB_USE_LAYOUT'],
    ['no-color', 'CNB_NO_COLOR'],
    ['parallel', 'CNB_PARALLEL_EXPORT'],
    ['skip-layers', 'CNB_SKIP_LAYERS'],
    ['skip-restore', 'CNB_SKIP_RESTORE'],
  ] as const)('-%s is a switch, and so is %s', (name, twin) => {
    const read = (argv: string[], env: Record<string, string> = {}) => parseFlags(all, argv, env).flag(name)
    expect([read([]), read([`-${name}`]), read([`-${name}=true`]), read([`-${name}=0`])]).toEqual([
      false,
      true,
      true,
      false,
    ])
    expect([read([], { [twin]: 'true' }), read([], { [twin]: '' }), read([`-${name}=false`], { [twin]: '1' })]).toEqual(
      [true, false, false],
    )
    expect(read([`-${name}=`], { [twin]: 'true' })).toBe(true)
    expect(() => read([`-${name}=yes`])).toThrow(expect.objectContaining({ code: 'usage' }) as Error)
    expect(() => read([], { [twin]: 'yes' })).toThrow(
      expect.objectContaining({ code: 'arguments', where: twin }) as Error,
    )
  })
  it.each([
    ['uid', 'CNB_USER_ID'],
    ['gid', 'CNB_GROUP_ID'],
  ] as const)('-%s is a number, and so is %s', (name, twin) => {
    const read = (argv: string[], env: Record<string, string> = {}) => parseFlags(all, argv, env).number(name)
    expect([
      read([]),
      read([`-${name}=0`]),
      read([], { [twin]: '1001' }),
      read([`-${name}=7`], { [twin]: '1' }),
    ]).toEqual([undefined, 0, 1001, 7])
    for (const bad of ['x', '-1', '1.5', '4294967295', '99999999999'])
      expect(() => read([`-${name}=${bad}`])).toThrow(expect.objectContaining({ code: 'usage' }) as Error)
    expect(() => read([], { [twin]: 'root' })).toThrow(expect.objectContaining({ code: 'arguments' }) as Error)
  })
  it('-insecure-registry and -tag may be repeated; registries are separated with commas too, as the twin has them', () => {
    const read = (name: FlagName, argv: string[], env: Record<string, string> = {}) =>
      parseFlags(all, argv, env).list(name)
    expect(read('tag', ['-tag', 'a', '-tag=', '-tag=b'])).toEqual(['a', 'b'])
    expect(read('insecure-registry', ['-insecure-registry='], { CNB_INSECURE_REGISTRIES: 'a:1, b,' })).toEqual([
      'a:1',
      'b',
    ])
    expect(read('insecure-registry', ['-insecure-registry=c'], { CNB_INSECURE_REGISTRIES: 'a' })).toEqual(['c'])
    expect(read('insecure-registry', ['-insecure-registry=c,d', '-insecure-registry', 'e'])).toEqual(['c', 'd', 'e'])
    expect(read('insecure-registry', [])).toEqual([])
  })
})

describe('the command line', () => {
  it.each([
    [['-app', 'x'], 'x'],
    [['-app=x'], 'x'],
    [['--app', 'x'], 'x'],
    [['--app=a=b'], 'a=b'],
    [['-app', '-x'], '-x'],
    [['-app=1', '-app=2'], '2'],
  ])('%j', (argv, value) => expect(parseFlags(all, argv, {}).text('app')).toBe(value))
  it('ends at the first argument that is not a flag, and at two hyphens', () => {
    const read = (argv: string[]) => [parseFlags(all, argv, {}).text('app'), parseFlags(all, argv, {}).positional]
    expect(read(['-daemon', 'image', '-app', 'x'])).toEqual(['/workspace', ['image', '-app', 'x']])
    expect(read(['-app=x', '--', '-daemon'])).toEqual(['x', ['-daemon']])
    expect(read(['-', 'a', ''])).toEqual(['/workspace', ['-', 'a']])
  })
  it.each([
    [['-nope']],
    [['-app']],
    [['---app=x']],
    [['-=x']],
    [['-app', 'x', '-nope=1']],
    [['-__proto__']],
    [['-hh']],
  ])('%j is refused', argv => {
    expect(() => parseFlags(all, argv, {})).toThrow(expect.objectContaining({ code: 'usage' }) as Error)
  })
})
