import { type BuildContext, BuildpackError, type Documentation, documentationRoot, withTempDir } from '../sdk/index.ts'
import { join } from 'node:path'
import type { Installed } from './installed.ts'

/**
 * Generates the pages of a site that the static buildpack serves.
 * @param venv the directory of the virtual environment with the generator
 */
export async function buildDocumentation(
  { log, run, env }: BuildContext,
  documentation: Documentation,
  { venv, installed, variables }: { venv: string; installed: Installed; variables: Readonly<Record<string, string>> },
): Promise<void> {
  const { name, config, command } = documentation
  if (!installed.has(documentation.package))
    throw new BuildpackError(`${name} makes the pages, but is not installed`, {
      where: config,
      fix: `add ${documentation.package} to requirements.txt`,
    })
  const [program, ...args] = command
  await withTempDir(home =>
    log.step(`Building ${documentationRoot}/ with ${name}`, () =>
      run([join(venv, 'bin', program), ...args], {
        name: program,
        // Plugins store their downloads there.
        env: { SOURCE_DATE_EPOCH: '315532801', ...env, ...variables, XDG_CACHE_HOME: home },
        fix: `correct the fault that ${name} reports, in ${config} or a page`,
      }),
    ),
  )
}
