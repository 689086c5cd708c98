import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type BuildContext,
  type BuildResult,
  BuildpackError,
  declaredStart,
  defineBuildpack,
  type DetectContext,
  detectLanguage,
  fail,
  linkPrograms,
  pass,
  programProcesses,
  removeSources,
  withTempDir,
} from '../sdk/index.ts'
import { buildWithCMake } from './cmake.ts'
import { runCommands, usesCommands } from './commands.ts'
import { buildWithMake, findMakefile } from './makefile.ts'
import { type Built, provideOutput } from './output.ts'

const sources = [
  /\.(c|cc|cpp|cxx|c\+\+|h|hh|hpp|hxx|o|a|d|m4|ac|am|cmake|in)$/i,
  /(^|\/)(CMakeLists\.txt|GNUmakefile|[Mm]akefile|configure)$/,
]

/** Programs in C and C++, built with CMake, a configure script, a Makefile, or commands in settings. */
export const make = defineBuildpack({ detect, build })

async function detect(context: DetectContext) {
  const found = await detectLanguage(context, 'cpp')
  return found.role === 'none' ? fail(found.reason) : pass(found.reason, found.plan)
}

async function build(context: BuildContext): Promise<BuildResult> {
  const { app, env, log } = context
  log.heading('C and C++')
  return withTempDir(async temp => {
    const stage = join(temp, 'stage')
    await mkdir(stage)
    const built = await compile(context, temp, stage)
    const declared = (await app.has('Procfile')) || (await declaredStart(app, env)) !== undefined
    if (built.programs.length === 0) {
      // The user's own command names the program, whatever the build made.
      if (declared) return {}
      throw new BuildpackError('the build made no program', {
        fix: 'let it install a program, or add a Procfile with a line "web: COMMAND"',
      })
    }
    log.info(`Programs: ${built.programs.map(({ name }) => name).join(', ')}`)
    const layer = await provideOutput(context, built)
    await removeSources(context, { sources: [...sources, ...built.made] })
    await linkPrograms(context, built.programs, layer)
    const processes = programProcesses(built.programs, layer)
    log.info(`Starts with: ${processes[0]?.command[0]}`)
    return { launch: { processes } }
  })
}

async function compile(context: BuildContext, temp: string, stage: string): Promise<Built> {
  const { app, env } = context
  if (usesCommands(env)) return runCommands(context)
  if (await app.has('CMakeLists.txt')) return buildWithCMake(context, temp, stage)
  if ((await findMakefile(app)) !== undefined || (await app.has('configure'))) return buildWithMake(context, stage)
  throw new BuildpackError('there is no CMakeLists.txt, Makefile or configure', {
    fix: 'add one, or set RAILPACK_BUILD_CMD to the command that builds the application',
  })
}
