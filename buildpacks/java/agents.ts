import { readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import {
  bindingsOf,
  type BuildContext,
  byDefault,
  findBound,
  isSet,
  type LayerEnv,
  packageUrl,
  shellQuote,
  textOfFile,
} from '../sdk/index.ts'
import { readArchive } from './archive.ts'
import { copyArtifact, type Maven } from './maven-artifacts.ts'

/** An agent of a monitoring service, which the JVM loads before the application. */
interface Agent {
  readonly name: string
  readonly layer: string
  /** In Maven's repositories. */
  readonly artifact: string
  /** What brings it into the image: a variable of the build, or a binding of a type. */
  readonly chosenBy: { readonly variable: string } | { readonly binding: string }
  readonly env?: LayerEnv['launch']
  /** Shell code of the start. It calls `load`, and the functions of the program of exec.d. */
  readonly start: string
}

const agents: readonly Agent[] = [
  {
    name: 'OpenTelemetry',
    layer: 'agent-opentelemetry',
    artifact: 'io.opentelemetry.javaagent:opentelemetry-javaagent:2.33.1',
    chosenBy: { variable: 'BP_OPENTELEMETRY_ENABLED' },
    env: { OTEL_JAVAAGENT_ENABLED: byDefault('false'), OTEL_METRICS_EXPORTER: byDefault('none') },
    start: `load
${ofBound('opentelemetry', 'default OTEL_JAVAAGENT_CONFIGURATION_FILE "$key"\n    break')}`,
  },
  {
    name: 'Datadog',
    layer: 'agent-datadog',
    artifact: 'com.datadoghq:dd-java-agent:1.68.1',
    chosenBy: { variable: 'BP_DATADOG_ENABLED' },
    start: 'enabled "${BPL_DATADOG_DISABLED-}" || load\n',
  },
  {
    ...ofBinding('New Relic', 'NewRelic', 'NEW_RELIC', 'com.newrelic.agent.java:newrelic-agent:8.19.0'),
    // It would write a file beside itself, where the application cannot write.
    env: { NEW_RELIC_LOG_FILE_NAME: byDefault('STDOUT') },
  },
  ofBinding('Elastic APM', 'ElasticAPM', 'ELASTIC_APM', 'co.elastic.apm:elastic-apm-agent:1.55.1'),
  ofBinding(
    'Application Insights',
    'ApplicationInsights',
    'APPLICATIONINSIGHTS',
    'com.microsoft.azure:applicationinsights-agent:3.5.3',
  ),
]

/** An agent whose settings are the keys of a binding at the start: `license_key` is `NEW_RELIC_LICENSE_KEY`. */
function ofBinding(name: string, binding: string, prefix: string, artifact: string): Agent {
  const body = `name=\${key##*/}
    case $name in *[!A-Za-z0-9._-]*) continue ;; esac
    default "${prefix}_$(printf %s "$name" | tr a-z.- A-Z__)" "$(text_of "$key")"`
  const start = `load\n${ofBound(binding, body)}`
  return { name, layer: `agent-${binding.toLowerCase()}`, artifact, chosenBy: { binding }, start }
}

/** Shell code that runs `body` for the path of each key of the first binding of a type, `$key`. */
function ofBound(type: string, body: string): string {
  return `${findBound(type)}if [ -n "$bound" ]; then
  for key in "$bound"/*; do
    case \${key##*/} in type | provider) continue ;; esac
    [ -f "$key" ] || continue
    ${body}
  done
fi
`
}

/** What the start of an application with agents needs. */
export interface Agents {
  /** The number of their classes. */
  readonly classes: number
  /** Shell code for the program of exec.d. */
  readonly lines: string
}

/** Puts the agents that settings and bindings of the build choose into layers of the image. */
export async function provideAgents(
  context: BuildContext,
  { openMaven, temp }: { readonly openMaven: () => Promise<Maven>; readonly temp: string },
): Promise<Agents> {
  let classes = 0
  let lines = ''
  for (const agent of agents) {
    const why = await reasonFor(context, agent)
    if (why === undefined) continue
    const [group = '', name = '', version = ''] = agent.artifact.split(':')
    context.log.info(`${agent.name} ${version}: ${why}`)
    const { path, notes } = await context.layer(agent.layer, {
      title: `the agent of ${agent.name} ${version}`,
      types: { launch: true },
      key: { artifact: agent.artifact },
      create: async dir => {
        await copyArtifact(await openMaven(), agent.artifact, dir, temp)
        const [file = ''] = await readdir(dir)
        await rename(join(dir, file), join(dir, jar))
        const { entries } = await readArchive(join(dir, jar))
        // Agents hide their classes from the application by other endings.
        const found = entries.filter(entry => /\.(?:class|classdata|esclazz)$/.test(entry)).length
        return { env: { launch: agent.env ?? {} }, notes: { classes: String(found) } }
      },
      sbom: () => Promise.resolve([{ name, version, purl: packageUrl('maven', `${group}/${name}`, version) }]),
    })
    classes += Number(notes['classes'])
    lines += `load() { add ${shellQuote(`-javaagent:${join(path, jar)}`)}; }\n${agent.start}`
  }
  return { classes, lines: lines === '' ? '' : `${textOfFile}${lines}` }
}

const jar = 'agent.jar'

async function reasonFor(context: BuildContext, { chosenBy }: Agent): Promise<string | undefined> {
  if ('variable' in chosenBy)
    return isSet(context.env, chosenBy.variable) ? `${chosenBy.variable} asks for its agent` : undefined
  const [binding] = await bindingsOf(context, chosenBy.binding)
  return binding && `the binding ${binding.name} asks for its agent`
}
