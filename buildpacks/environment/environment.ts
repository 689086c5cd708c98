import { defineBuildpack, digestOf, fail, pass } from '../sdk/index.ts'
import { readLabels } from './labels.ts'
import { readVariables } from './variables.ts'

export const environment = defineBuildpack({
  detect({ env }) {
    const names = [...Object.keys(readVariables(env)), ...readLabels(env).map(({ key }) => key)]
    if (names.length === 0) return fail('there are no BPE_, BP_IMAGE_LABELS, BP_OCI_ or GOOGLE_LABEL_ variables')
    return pass(`variables of the build set ${names.join(', ')} in the image`)
  },

  async build({ env, layer, log }) {
    log.heading('Environment variables and labels')
    const variables = readVariables(env)
    const names = Object.keys(variables)
    if (names.length > 0) {
      await layer('variables', {
        title: `the variables ${names.join(', ')}`,
        types: { launch: true },
        key: { Variables: digestOf(JSON.stringify(variables)) },
        create: () => Promise.resolve({ env: { launch: variables } }),
      })
    }
    const labels = readLabels(env)
    for (const { key, value } of labels) log.info(`Label ${key}: ${value}`)
    return { launch: { labels } }
  },
})
