import { expect, onTestFinished } from 'vitest'
import { BaleError } from '../../../lifecycle/errors.ts'
import { type Image, makeImage } from '../../../lifecycle/image/image.ts'
import type { Layer } from '../../../lifecycle/image/layer.ts'
import { parseReference } from '../../../lifecycle/image/reference.ts'
import { type Credentials, anonymous } from '../../../lifecycle/stores/credentials.ts'
import type { Credential } from '../../../lifecycle/stores/credentials/credential.ts'
import type { RegistryLimits } from '../../../lifecycle/stores/registry/limits.ts'
import {
  type RegistryOptions as ClientOptions,
  openRegistry,
  registryStore,
} from '../../../lifecycle/stores/registry/store.ts'
import { failureOf } from '../failure.ts'
import { type Files, bytesOf, configOf, layerOf } from '../images.ts'
import { type FakeRegistry, type RegistryOptions, startRegistry } from '../registry.ts'

/** Pauses of milliseconds between attempts. */
const eager: Partial<RegistryLimits> = {
  connect: 5_000,
  answer: 8_000,
  commit: 8_000,
  idle: 8_000,
  firstPause: 2,
  longestPause: 10,
}

/** For tests in which the other side keeps silent: that must not take long, and nothing else may be slow. */
export const impatient: Partial<RegistryLimits> = { answer: 400, commit: 400, idle: 300, attempts: 3 }

/** A fake registry that ends with the test. */
export async function serve(options: RegistryOptions = {}): Promise<FakeRegistry> {
  const server = await startRegistry(options)
  onTestFinished(() => server.close())
  return server
}

type ConnectOptions = Partial<ClientOptions> & { repository?: string }

/** A client of a registry that ends with the test; its repository is `team/app` unless told. */
export function connect(host: string, options: ConnectOptions = {}) {
  const client = connectTo(host, options)
  onTestFinished(() => client.registry.close())
  return client
}

/** The same, for whoever closes it. */
export function connectTo(host: string, options: ConnectOptions = {}) {
  const { repository = 'team/app', limits, ...rest } = options
  const registry = openRegistry({
    registry: host,
    credentials: anonymous,
    limits: { ...eager, ...limits },
    ...rest,
  })
  const at = (name: string) => registryStore(parseReference(`${host}/${name}`), { registry })
  return { registry, at, store: at(repository) }
}

export function credentialsOf(credential: Credential): Credentials {
  return { find: () => Promise.resolve(credential) }
}

/** Puts an image straight into the fake: no client takes part. */
export async function seed(
  server: FakeRegistry,
  name = 'team/app:v1',
  files: Files = { '/app/a': 'a' },
): Promise<Image & { layer: Layer }> {
  const [repository = '', tag = ''] = name.split(':')
  const layer = await layerOf(files)
  const image = makeImage(configOf(), [layer])
  server.addBlob(repository, await bytesOf(layer.open()))
  server.addBlob(repository, image.configBytes)
  server.addManifest(repository, tag, image.manifest.mediaType, Buffer.from(image.manifestBytes).toString())
  return { ...image, layer }
}

/** What nobody may ever read in an error, a log or a request to the wrong host. */
export const secret = 'hunter2-s3cret'

/** The one line that a user reads when this fails; the parts of the oracle that hold for every error. */
export async function refusal(attempt: Promise<unknown> | (() => unknown)): Promise<string> {
  const started = performance.now()
  const error = await failureOf(attempt)
  expect(performance.now() - started).toBeLessThan(10_000)
  if (!(error instanceof BaleError)) throw error
  const line = [error.where, error.message, error.fix].filter(part => part !== undefined).join(' | ')
  expect(line).not.toMatch(/[\u0000-\u001f\u007f]/)
  expect(line).not.toContain(secret)
  expect(line.length).toBeLessThan(1500)
  return line
}
