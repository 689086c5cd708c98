import { spawnSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { provideAgents } from '../../buildpacks/java/agents.ts'
import { launchScript } from '../../buildpacks/java/launch-script.ts'
import { type BuildContext, type LayerDefinition, Log } from '../../buildpacks/sdk/index.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'
import { type Tree, writeTree } from '../helpers/tree.ts'
import { zip } from '../helpers/zip.ts'

const agent = zip({ 'a/Agent.class': '', 'inst/b/Hidden.classdata': '', 'c/Lazy.esclazz': '', 'd.txt': '' })

/** Provides agents for variables and bindings of the build. Maven copies an archive of three classes. */
async function provide(env: Record<string, string>, bindings: Tree = {}) {
  const root = await temporaryDirectory()
  await writeTree(join(root, 'platform/bindings'), bindings)
  const layers: Record<string, LayerDefinition> = {}
  const variables: Record<string, unknown> = {}
  const context = {
    env,
    platformDir: join(root, 'platform'),
    log: new Log({ stdout: () => {}, stderr: () => {} }),
    layer: async (name: string, definition: LayerDefinition) => {
      const path = join(root, name)
      await mkdir(path)
      const contents = await definition.create(path)
      layers[name] = definition
      Object.assign(variables, contents?.env?.launch)
      return { path, notes: contents?.notes ?? {} }
    },
  } as unknown as BuildContext
  const run = async (args: readonly string[]) => {
    const dir = args.find(arg => arg.startsWith('-DoutputDirectory='))?.slice('-DoutputDirectory='.length) ?? ''
    await writeFile(join(dir, 'some-agent-1.0.jar'), agent)
  }
  const openMaven = () => Promise.resolve({ name: 'mvn', run })
  const agents = await provideAgents(context, { openMaven, temp: root })
  const start = async (given: Record<string, string>, bound: Tree = {}) => {
    await writeTree(join(root, 'bound'), { 'none/type': 'other', ...bound })
    const script = launchScript(1000, [], [], agents.lines)
    const { status, stderr, output } = spawnSync('sh', ['-c', script], {
      env: { PATH: process.env['PATH'], SERVICE_BINDING_ROOT: join(root, 'bound'), ...given },
      stdio: ['ignore', 'inherit', 'pipe', 'pipe'],
      encoding: 'utf8',
    })
    expect(status, stderr).toBe(0)
    const lines = [...(output[3] ?? '').matchAll(/^(\w+) = "(.*)"$/gm)]
    expect(new Set(lines.map(([, name]) => name)).size).toBe(lines.length)
    return Object.fromEntries(lines.map(([, name, value]) => [name, value?.replaceAll(root, '')])) as Record<
      string,
      string
    >
  }
  return { ...agents, layers, variables, start }
}

describe('agents of monitoring services', () => {
  it('are in no image that nothing asks for them', async () => {
    const { classes, lines, layers } = await provide({ BP_DATADOG_ENABLED: 'false' }, { 'db/type': 'postgresql' })
    expect([classes, lines, layers]).toEqual([0, '', {}])
  })

  it.each<[Record<string, string>, Tree, string, string]>([
    [{ BP_OPENTELEMETRY_ENABLED: 'true' }, {}, 'agent-opentelemetry', 'opentelemetry-javaagent'],
    [{ BP_DATADOG_ENABLED: 'true' }, {}, 'agent-datadog', 'dd-java-agent'],
    [{}, { 'monitor/type': 'newrelic' }, 'agent-newrelic', 'newrelic-agent'],
    [{}, { 'monitor/type': 'ElasticAPM' }, 'agent-elasticapm', 'elastic-apm-agent'],
    [{}, { 'monitor/type': 'ApplicationInsights' }, 'agent-applicationinsights', 'applicationinsights-agent'],
  ])('for %j and %j', async (env, bindings, layer, artifact) => {
    const { classes, layers, start } = await provide(env, bindings)
    expect(classes).toBe(3)
    expect(layers[layer]?.types).toEqual({ launch: true })
    expect(layers[layer]?.key['artifact']).toContain(`:${artifact}:`)
    const { JAVA_TOOL_OPTIONS } = await start({ JAVA_TOOL_OPTIONS: '-Da=1' })
    expect(JAVA_TOOL_OPTIONS).toMatch(new RegExp(`^-Da=1 -javaagent:/${layer}/agent\\.jar `))
  })

  it('of Datadog is left out at a start that says so', async () => {
    const { start } = await provide({ BP_DATADOG_ENABLED: 'true' })
    expect((await start({ BPL_DATADOG_DISABLED: 'true' }))['JAVA_TOOL_OPTIONS']).not.toContain('-javaagent')
  })

  it('of OpenTelemetry sends nothing until the start turns it on, and reads the file of a binding', async () => {
    const { start, variables } = await provide({ BP_OPENTELEMETRY_ENABLED: 'true' })
    expect(Object.keys(variables)).toEqual(['OTEL_JAVAAGENT_ENABLED', 'OTEL_METRICS_EXPORTER'])
    const bound = { 'otel/type': 'OpenTelemetry', 'otel/otel.properties': '' }
    expect(await start({}, bound)).toMatchObject({
      OTEL_JAVAAGENT_CONFIGURATION_FILE: '/bound/otel/otel.properties',
    })
  })

  it('get the keys of their binding at the start as variables, which the user may set instead; the image has none', async () => {
    const build = { 'monitor/type': 'NewRelic', 'monitor/license_key': 'k9-secret' }
    const { start, lines, variables } = await provide({}, build)
    expect(Object.keys(variables)).toEqual(['NEW_RELIC_LOG_FILE_NAME'])
    expect(lines).not.toContain('k9-secret')
    const bound = {
      ...{ 'm/type': 'NewRelic', 'm/provider': 'x', 'm/license_key': ' "k9"\\ \n', 'm/app-name': 'shop' },
      'm/bad name$(id)': 'no',
    }
    const { NEW_RELIC_LICENSE_KEY, NEW_RELIC_APP_NAME, ...more } = await start({ NEW_RELIC_APP_NAME: 'mine' }, bound)
    expect([NEW_RELIC_LICENSE_KEY, NEW_RELIC_APP_NAME]).toEqual(['\\"k9\\"\\\\', undefined])
    expect(Object.keys(more)).toEqual(['JAVA_TOOL_OPTIONS'])
  })

  it.each<[Record<string, string>, Tree, Tree, Record<string, string>]>([
    [
      {},
      { 'm/type': 'NewRelic' },
      { 'a/type': 'NewRelic', 'a/license_key': '1', 'b/type': 'NewRelic', 'b/license_key': '2' },
      { NEW_RELIC_LICENSE_KEY: '1' },
    ],
    [
      {},
      { 'm/type': 'ElasticAPM' },
      { 'a/type': 'ElasticAPM', 'a/secret-token': '1', 'a/secret_token': '2', 'a/url': '' },
      { ELASTIC_APM_SECRET_TOKEN: '1' },
    ],
    [
      { BP_OPENTELEMETRY_ENABLED: 'true' },
      {},
      { 'a/type': 'OpenTelemetry', 'a/a.properties': '', 'a/b.yaml': '', 'b/type': 'opentelemetry', 'b/c': '' },
      { OTEL_JAVAAGENT_CONFIGURATION_FILE: '/bound/a/a.properties' },
    ],
  ])('set each variable once for %j, %j and %j at the start: the launcher refuses a second one', async (...given) => {
    const [env, build, bound, variables] = given
    const { start } = await provide(env, build)
    const { JAVA_TOOL_OPTIONS, ...set } = await start({}, bound)
    expect(JAVA_TOOL_OPTIONS).toContain('-javaagent')
    expect(set).toEqual(variables)
  })
})
