import { BaleError } from '../../errors.ts'
import { type OnCluster, clusterManifests } from '../../platform/kubernetes/build.ts'
import { readClusterSettings } from '../../platform/kubernetes/settings.ts'
import { withoutSource } from '../build-options.ts'
import type { CommandContext, GlobalOptions } from '../context.ts'
import { formatValue } from '../formats.ts'

/** Reads `--on` and `--on-settings`. */
export async function clusterOf(on: string, settings: string | undefined): Promise<OnCluster> {
  return { on, ...(settings !== undefined && { settings: await readClusterSettings(settings) }) }
}

/** `bale build --on … --output yaml`: prints the manifests for the cluster, for another tool to apply. */
export async function manifestsCommand(
  context: CommandContext,
  named: string | undefined,
  options: GlobalOptions,
): Promise<void> {
  const { on, onSettings, path, subPath } = options
  if (on === undefined)
    throw new BaleError('usage', 'this prints the Kubernetes manifests of a build on a cluster', {
      where: '--output yaml',
      fix: 'add --on kubernetes, or leave it out',
    })
  const given = await withoutSource(context, named, options)
  const cluster = await clusterOf(on, onSettings)
  const manifests = await clusterManifests({ ...given, path, subPath }, cluster)
  const { registrySecret } = cluster.settings ?? {}
  if (registrySecret === undefined)
    context.reporter.event({
      type: 'warning',
      text: 'the manifests contain no credentials, so the build uses the registry without a login',
      fix: 'name a Secret of the namespace in registrySecret of the settings file',
    })
  const documents = await Promise.all(manifests.map(manifest => formatValue(manifest, 'yaml')))
  context.print(documents.map(text => `---\n${text}`).join('\n'))
}
