import { Buffer } from 'node:buffer'
import { expect, it, onTestFinished } from 'vitest'
import { build } from '../../lifecycle/platform/build-app.ts'
import { builds, detects, fakeEngine, machine } from '../helpers/build-machine.ts'
import { failureOf } from '../helpers/failure.ts'
import { startRegistry } from '../helpers/registry.ts'

const password = 'the-token-of-this-job'

/** A build that publishes, whose buildpack knows the registry's password: a CI job's token is often also npm's. */
async function publish(script: Parameters<typeof builds>[0], said: string) {
  const registry = await startRegistry({ auth: { scheme: 'basic', username: 'ci', password } })
  onTestFinished(() => registry.close())
  const builder = builds(script)
  const engine = fakeEngine({
    detector: detects(),
    async builder(run, mounted) {
      await run.onOutput('stdout', Buffer.from(`${said}\n`))
      await builder(run, mounted)
    },
  })
  const { options, reporter } = await machine(engine)
  const basic = Buffer.from(`ci:${password}`).toString('base64')
  const settings = { ...options.settings, registryAuth: JSON.stringify({ [registry.host]: `Basic ${basic}` }) }
  const name = `${registry.host}/team/app`
  const outcome = await build({ ...options, settings, image: name, publish: true }).catch((error: unknown) => error)
  return { outcome, registry, events: JSON.stringify(reporter.events) }
}

it('K21 a layer with the registry’s credentials is not pushed, nor is anything else', async () => {
  const { outcome, registry, events } = await publish({ 'test_bp/deps/.npmrc': `_authToken=${password}` }, password)
  expect(await failureOf(Promise.reject(outcome as Error))).toMatchObject({
    code: 'input',
    where: '/layers/test_bp/deps/.npmrc',
    message: `it contains credentials of ${registry.host}: nothing is published`,
  })
  expect([registry.manifests.size, registry.blobs.size]).toEqual([0, 0])
  expect(events).toContain('***')
  expect(events).not.toContain(password)
})

it('K21 what buildpacks print of them is masked', async () => {
  const { outcome, registry, events } = await publish({}, `as ${Buffer.from(`ci:${password}`).toString('base64')}`)
  expect(outcome).toMatchObject({ names: [`${registry.host}/team/app:latest`] })
  expect(events).toContain('as ***')
})
