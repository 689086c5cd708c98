import { dirname, join } from 'node:path'
import type { BuildContext, RubySite } from '../sdk/index.ts'
import type { Tools } from './bundle.ts'

/**
 * Generates the pages of a site that the static buildpack serves.
 * @param installed the layer of the gems, and directories of shared libraries
 * @throws BuildpackError if the generator fails
 */
export async function buildSite(
  { log, run, env }: BuildContext,
  { ruby }: Tools,
  { name, root, config, command, env: own }: RubySite,
  { gems, libraries }: { readonly gems: string; readonly libraries: readonly string[] },
): Promise<void> {
  const program = join(dirname(ruby.program), 'bundle')
  await log.step(`Building ${root}/ with ${name}`, () =>
    run([ruby.program, program, 'exec', ...command], {
      name: `bundle exec ${command.join(' ')}`,
      env: {
        ...own,
        ...env,
        ...ruby.env,
        LD_LIBRARY_PATH: [ruby.env['LD_LIBRARY_PATH'], ...libraries].filter(Boolean).join(':'),
        BUNDLE_APP_CONFIG: join(gems, 'bundle'),
        LANG: env['LANG'] ?? 'C.UTF-8',
      },
      fix: `correct the fault that ${name} reports, in ${config} or a page`,
    }),
  )
}
