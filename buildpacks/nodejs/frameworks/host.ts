import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type BuildContext, BuildpackError, packageUrl } from '../../sdk/index.ts'
import type { Registry } from '../../npm/registry.ts'
import type { Candidate } from './table.ts'

/** Puts the program that starts the application into a layer of the image, in the version that the buildpack names. */
export async function provideHost(
  context: BuildContext,
  registry: Registry,
  { name, version, program, hash }: NonNullable<Candidate['host']>,
): Promise<void> {
  await context.layer(name, {
    title: `${name} ${version}`,
    types: { launch: true },
    key: { [name]: version },
    create: async dir => {
      const target = join(dir, 'package')
      const command = join(dir, 'bin', name)
      for (const each of [target, dirname(command)]) await mkdir(each)
      if (!(await registry.unpack(name, version, target, { hash, where: name }))) {
        throw new BuildpackError(`the registry has no ${name} ${version}, which starts the application`, {
          fix: 'add a script "start" to package.json',
        })
      }
      await writeFile(command, `#!/bin/sh\nexec node '${join(target, program)}' "$@"\n`, { mode: 0o755 })
    },
    sbom: () => Promise.resolve([{ name, version, purl: packageUrl('npm', name, version), license: 'MIT' }]),
  })
}
