import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type BuildContext, BuildpackError, firstSetting } from '../sdk/index.ts'
import type { JavaArchive } from './archive.ts'
import type { BuildTool } from './build-tool.ts'
import { copyArtifact, type Maven } from './maven-artifacts.ts'

/** The program that serves a function of Google's Functions Framework. */
const invoker = 'com.google.cloud.functions.invoker:java-function-invoker:1.4.1'

/** A class that is not a program: a function of Google's Functions Framework. */
export interface FunctionArtifact {
  readonly kind: 'function'
  readonly archive: JavaArchive
  readonly target: string
}

/**
 * The class that GOOGLE_FUNCTION_TARGET names, in the archive that contains it. Only Maven knows which libraries it needs. undefined
 * without the setting, and if an archive without it is `executable`.
 */
export function functionIn(
  env: BuildContext['env'],
  archives: readonly JavaArchive[],
  { tool, executable }: { readonly tool: BuildTool | undefined; readonly executable: boolean },
): FunctionArtifact | undefined {
  const setting = firstSetting(env, 'GOOGLE_FUNCTION_TARGET')
  if (setting === undefined || tool !== 'maven') return undefined
  const { name: where, value: target } = setting
  const file = `${target.replaceAll('.', '/')}.class`
  const archive = archives.find(({ entries }) => entries.includes(file))
  if (archive !== undefined) return { kind: 'function', archive, target }
  if (executable) return undefined
  throw new BuildpackError(`no archive that the build made has the class ${target}`, {
    where,
    fix: 'write the class of the function with its package, such as com.example.Hello',
  })
}

/** Downloads the program that serves functions into a directory, and returns its path. */
export async function copyInvoker(maven: Maven, dir: string, temp: string): Promise<string> {
  await copyArtifact(maven, invoker, dir, temp)
  const [name = ''] = (await readdir(dir)).filter(file => file.endsWith('.jar'))
  return join(dir, name)
}

/** The command of the program, which listens on $PORT. */
export const functionCommand = (program: string, classPath: readonly string[], target: string) =>
  ['java', '-jar', program, '--classpath', classPath.join(':'), '--target', target] as const
