import type { Digest } from '../../image/digest.ts'
import type { Registry } from './client.ts'

/**
 * Deletes a manifest (distribution-spec, "Deleting Manifests"). A missing one counts as deleted. Its blobs stay for the
 * registry's own garbage collection.
 * @throws BaleError 'registry' if the registry refuses; some answer 405 to every deletion
 */
export async function removeManifest(
  registry: Registry,
  repository: string,
  digest: Digest,
  signal?: AbortSignal,
): Promise<void> {
  const reply = await registry.call({
    method: 'DELETE',
    url: `/v2/${repository}/manifests/${digest}`,
    access: { repository, action: 'delete' },
    accept: [200, 202, 204, 404],
    signal,
  })
  await reply.discard()
}
