import { join } from 'node:path'
import { type BuildContext, BuildpackError } from '../sdk/index.ts'
import type { LockTool } from './project.ts'
import { type Pip, type Python, reproducibleEnv } from './runtime.ts'
import {
  type Chosen,
  chosenVersion,
  type Installer,
  installerNames,
  listVersions,
  notToBeHad,
} from './tool-versions.ts'
import { type Uv, uvVersion } from './uv.ts'

/** The default versions of the tools that install from their lock files. */
const lockToolVersions: Readonly<Record<LockTool, string>> = {
  uv: uvVersion,
  poetry: '2.5.1',
  pdm: '2.29.4',
  pipenv: '2026.10.3',
}

/** Upper limits for dependencies that the tools do not limit themselves: PDM fails with the second version of hishel. */
const limits: Readonly<Record<LockTool, readonly string[]>> = { uv: [], poetry: [], pdm: ['hishel<2'], pipenv: [] }

/** A tool that installs from its lock file. */
export interface LockToolUse {
  readonly version: string
  /** Installs the tool when it is needed, and returns the path of its program. */
  provide(): Promise<string>
}

interface Base {
  readonly python: Python
  readonly pip: Pip
  readonly temp: string
}

/** uv is a native program. The others are installed from PyPI into a build layer, on the application's Python. */
export async function chooseLockTool(
  context: BuildContext,
  base: Base,
  tool: LockTool,
  uv: () => Promise<Uv>,
): Promise<LockToolUse> {
  const usual = lockToolVersions[tool]
  const chosen = await chosenVersion(context, base, tool, usual)
  const version = chosen?.version ?? usual
  if (chosen) context.log.info(reasonOf(tool, chosen))
  if (tool === 'uv' && version === usual) return { version, provide: async () => (await uv()).program }
  return { version, provide: async () => provideTool(context, base, tool, version, chosen) }
}

const reasonOf = (tool: Installer, { version, request }: Chosen): string =>
  `${installerNames[tool]} ${version}: ${request.where} asks for ${request.value}`

async function provideTool(
  context: BuildContext,
  { python, pip }: Base,
  tool: LockTool,
  version: string,
  chosen: Chosen | undefined,
): Promise<string> {
  // The layer `uv` contains the uv that downloads interpreters.
  const layer = await context.layer(tool === 'uv' ? 'uv-for-packages' : tool, {
    title: `${tool} ${version}`,
    types: { cache: true },
    key: { [tool]: version, Python: python.version },
    create: async dir => {
      await context.run([python.program, '-m', 'venv', '--without-pip', dir], { env: python.env, quiet: true })
      const flags = ['--no-input', '--progress-bar=off', '--no-cache-dir', ...limits[tool]]
      const program = { path: join(dir, 'bin/python'), env: python.env }
      await installTool(context, { python, pip, program }, { tool, version, chosen, flags })
    },
  })
  context.seal(layer)
  return join(layer.path, 'bin', tool)
}

/** pip in the requested version, or the given pip without a request. */
export async function provideAskedPip(context: BuildContext, python: Python, pip: Pip): Promise<Pip> {
  const chosen = await chosenVersion(context, { python, pip }, 'pip', pip.version)
  if (chosen === undefined || chosen.version === pip.version) return pip
  const { version } = chosen
  context.log.info(reasonOf('pip', chosen))
  const layer = await context.layer('pip-for-packages', {
    title: `pip ${version}`,
    types: { cache: true },
    key: { pip: version, Python: python.minor },
    create: async dir => {
      // The build image's own Python runs the pip that installs another.
      const program = { path: 'python3', env: reproducibleEnv }
      const isFor = ['--no-deps', '--only-binary=:all:', '--python-version', python.minor]
      const flags = [...isFor, '--no-compile', '--no-input', '--target', dir]
      await installTool(context, { python, pip, program }, { tool: 'pip', version, chosen, flags })
      await context.run([python.program, '-m', 'pip', '--version'], {
        env: { ...python.env, PYTHONPATH: dir },
        quiet: true,
        name: `pip ${version} on Python ${python.minor}`,
        fix: `ask for a newer pip: ${chosen.request.where}`,
      })
    },
  })
  context.seal(layer)
  return { version, modules: layer.path }
}

/** @throws BuildpackError with the nearest version, if the index does not have the requested one */
async function installTool(
  context: BuildContext,
  base: Omit<Base, 'temp'> & { readonly program: { readonly path: string; readonly env: Python['env'] } },
  { tool, version, chosen, flags }: Installable,
): Promise<void> {
  const { python, pip, program } = base
  const requirement = `${tool}==${version}`
  const result = await context.run([program.path, '-m', 'pip', 'install', requirement, ...flags], {
    env: { ...program.env, PYTHONPATH: pip.modules, PIP_DISABLE_PIP_VERSION_CHECK: '1' },
    quiet: true,
    allowFailure: chosen !== undefined,
    name: `pip install ${requirement}`,
    fix: `check that the package index has ${tool} ${version}`,
  })
  if (result.exitCode === 0 || chosen === undefined) return
  const versions = await listVersions(context, pip, tool, python.minor)
  if (!versions.includes(version)) throw notToBeHad(tool, chosen.request, versions, python)
  context.log.detail(result.stderr)
  throw new BuildpackError(`pip install ${requirement} failed with exit status ${result.exitCode}`, {
    where: chosen.request.where,
    fix: `ask for another version of ${installerNames[tool]}`,
  })
}

interface Installable {
  readonly tool: Installer
  readonly version: string
  readonly chosen: Chosen | undefined
  readonly flags: readonly string[]
}
