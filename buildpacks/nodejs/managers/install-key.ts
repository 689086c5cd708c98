import { digestOf, type LayerKey } from '../../sdk/index.ts'
import type { ManagerJob } from '../manager.ts'
import { filesNamed, namesConfig, npmrcValues } from './settings.ts'

/** Configuration files of Yarn, pnpm and Bun. */
const settingFiles = ['.npmrc', '.yarnrc', '.yarnrc.yml', 'pnpm-workspace.yaml', 'bunfig.toml']
/** Files with code or patches that affect the installed packages. */
const codeFiles = ['.pnpmfile.cjs', '.pnpmfile.mjs', 'pnpmfile.js', '.yarn/plugins', '.yarn/patches', 'patches']

/**
 * The key of packages that Yarn, pnpm or Bun install without running anything; undefined if it cannot be determined.
 * @param complete the lock file has a digest of each package
 */
export async function installKey(
  { context, node, project, choice }: ManagerJob,
  version: string,
  dev: boolean,
  complete: boolean,
): Promise<LayerKey | undefined> {
  const { env, target } = context
  const { root, rootJson } = project
  const { lockFile, kind } = choice
  if (lockFile === undefined || !complete || namesConfig(env)) return undefined
  for (const name of codeFiles) if ((await root.has(name)) || (await root.hasDirectory(name))) return undefined
  const settings = Object.entries(env).filter(([name]) => isInstallSetting(name))
  const files = await Promise.all(settingFiles.map(async name => (await root.read(name)) ?? ''))
  const values = files.flatMap(text => npmrcValues(text.replaceAll(/^\s*([\w-]+):?\s+/gm, '$1='), env))
  return {
    Node: node.version,
    [kind.name]: version,
    architecture: target.arch,
    packages: dev ? 'with devDependencies' : 'for production',
    [lockFile]: digestOf((await root.read(lockFile)) ?? ''),
    'dependencies in package.json': digestOf(rootJson.installFields),
    'files of settings': digestOf(...files, ...values),
    [`settings for ${kind.name}`]: digestOf(JSON.stringify(settings.toSorted(([a], [b]) => (a < b ? -1 : 1)))),
    'files named in settings': digestOf(
      ...(await filesNamed(root, [...settings.map(([, value]) => value), ...values])),
    ),
  }
}

function isInstallSetting(name: string): boolean {
  return /^(npm|pnpm|bun)_config_|^yarn_/i.test(name) && !/registry|_ca$|proxy|cache|auth|token|password/i.test(name)
}
