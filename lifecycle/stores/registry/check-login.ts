import { readFileSync } from 'node:fs'
import { BaleError } from '../../errors.ts'
import type { Credential } from '../credentials/credential.ts'
import type { StoreSettings } from '../transport.ts'
import { openRegistry, proxySettings } from './store.ts'

/**
 * Asks a registry whether it accepts a credential (distribution spec, "Determining Support").
 * @param host as references name it: `index.docker.io`, `localhost:5000`
 * @throws BaleError 'registry' if the registry refuses it or cannot be reached
 */
export async function checkLogin(
  host: string,
  credential: Credential,
  { environment, caBundle, insecureRegistries = [] }: StoreSettings,
  signal?: AbortSignal,
): Promise<void> {
  await using registry = openRegistry({
    registry: host,
    insecure: insecureRegistries.includes(host),
    credentials: { find: () => Promise.resolve(credential) },
    proxy: proxySettings(environment),
    ca: caBundle === undefined ? [] : [readFileSync(caBundle, 'utf8')],
  })
  const access = { repository: '', action: 'pull' } as const
  const call = { method: 'GET', url: '/v2/', access, accept: [200], ...(signal && { signal }) } as const
  const reply = await registry.call(call).catch((error: unknown) => {
    // A failure of the network has a cause, and its own advice.
    if (!(error instanceof BaleError) || error.cause !== undefined) throw error
    throw new BaleError(error.code, error.message, {
      where: error.where,
      fix: 'check the user name and the password or token',
      cause: error,
    })
  })
  await reply.discard()
}
