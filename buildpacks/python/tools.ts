import { join } from 'node:path'
import type { BuildContext } from '../sdk/index.ts'
import type { LockTool } from './project.ts'
import type { Pip, Python } from './runtime.ts'
import { provideUv, uvVersion } from './uv.ts'

/** The versions of the tools that install what their lock files say. */
export const lockToolVersions: Readonly<Record<LockTool, string>> = {
  uv: uvVersion,
  poetry: '2.5.1',
  pdm: '2.29.4',
  pipenv: '2026.10.3',
}

/** Dependencies that the tools do not limit themselves: PDM fails with the second version of hishel. */
const limits: Readonly<Record<LockTool, readonly string[]>> = { uv: [], poetry: [], pdm: ['hishel<2'], pipenv: [] }

/** Brings a tool when it is first needed, and gives the path of its program. */
export type LockToolPrograms = (tool: LockTool) => Promise<string>

/** uv is a program of its own; the others are installed from PyPI into a layer of the build, on the application's Python. */
export function lockToolPrograms(context: BuildContext, python: Python, pip: Pip, temp: string): LockToolPrograms {
  return async tool => {
    if (tool === 'uv') return (await provideUv(context, pip, temp)).program
    const version = lockToolVersions[tool]
    const layer = await context.layer(tool, {
      title: `${tool} ${version}`,
      types: { cache: true },
      key: { [tool]: version, Python: python.version },
      create: async dir => {
        const env = { ...python.env, PYTHONPATH: pip.modules, PIP_DISABLE_PIP_VERSION_CHECK: '1' }
        await context.run([python.program, '-m', 'venv', '--without-pip', dir], { env: python.env, quiet: true })
        const flags = ['--no-input', '--progress-bar=off', '--no-cache-dir']
        await context.run(
          [join(dir, 'bin/python'), '-m', 'pip', 'install', ...flags, `${tool}==${version}`, ...limits[tool]],
          {
            env,
            quiet: true,
            name: `pip install ${tool}==${version}`,
            fix: `check that the package index has ${tool} ${version}`,
          },
        )
      },
    })
    return join(layer.path, 'bin', tool)
  }
}
