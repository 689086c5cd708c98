import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { posix } from 'node:path'
import { type App, type BuildContext, BuildpackError, firstSetting } from '../sdk/index.ts'
import type { GoCommand } from './command.ts'
import { type GoProgram, hasPrograms, listPackages } from './programs.ts'
import type { Project } from './project.ts'

export const framework = 'github.com/GoogleCloudPlatform/functions-framework-go'
/** For a module that does not require it, as Google's builder lets it. */
const frameworkVersion = 'v1.9.2'
/** No pattern such as `./...` finds a folder of such a name. */
const folder = '_function'

/** A program around a function of Google's Functions Framework. */
export interface FunctionProgram {
  readonly go: GoCommand
  readonly program: GoProgram
  /** The function that it serves at `/`. */
  readonly target: string
  readonly why: string
}

interface Target {
  readonly name: string
  readonly why: string
  /** Whether the package registers it as it starts; otherwise it is one that the package exports. */
  readonly isRegistered: boolean
}

/**
 * Writes the program that a function needs, which has none of its own (Functions Framework for Go, "Declarative function signatures"): for
 * the function that GOOGLE_FUNCTION_TARGET names, else for the only one that the module's package registers. undefined where there is no
 * function, or nothing but a program of the application's.
 * @throws BuildpackError if the package registers several, and nothing says which
 */
export async function writeFunctionProgram(
  context: BuildContext,
  project: Project,
  go: GoCommand,
): Promise<FunctionProgram | undefined> {
  const { app, env } = context
  if (project.kind !== 'module') return undefined
  const mod = posix.join(project.dir, 'go.mod')
  const isRequired = (await app.read(mod))?.includes(framework) === true
  const isNamed = firstSetting(env, 'GOOGLE_FUNCTION_TARGET') !== undefined
  if (!isNamed && (!isRequired || (await hasPrograms(context, project, go)))) return undefined
  const sources = await sourcesIn(app, project.dir)
  if (sources.length === 0) return undefined
  const [own] = await listPackages(go, app.at(project.dir), ['.'])
  if (own === undefined || own.isMain) return undefined
  const target = targetOf(env, sources, mod)
  if (target === undefined) return undefined
  await mkdir(app.at(project.dir, folder))
  await writeFile(app.at(project.dir, folder, 'main.go'), source(own.package, target, signatureOf(env)))
  // Sums of modules that the framework needs and the package does not may be missing; Go checks what it adds.
  const adding = go.with({ env: { GOFLAGS: `${go.env['GOFLAGS']} -mod=mod` } })
  if (!isRequired) await adding.run(['get', `${framework}@${frameworkVersion}`], { quiet: true })
  const program = { name: 'function', dir: project.dir, package: `./${folder}` }
  return { go: adding, program, target: target.name, why: target.why }
}

function targetOf(env: Readonly<Record<string, string>>, sources: readonly string[], mod: string): Target | undefined {
  const registered = sources.flatMap(registeredIn)
  const setting = firstSetting(env, 'GOOGLE_FUNCTION_TARGET')
  if (setting !== undefined) {
    if (!/^\w+$/.test(setting.value) && !registered.includes(setting.value)) {
      throw new BuildpackError(`${JSON.stringify(setting.value)} is not the name of a function in Go`, {
        where: setting.name,
        fix:
          registered.length > 0
            ? `write one of ${registered.join(', ')}`
            : 'write the name of one that the package exports',
      })
    }
    return { name: setting.value, why: setting.name, isRegistered: registered.includes(setting.value) }
  }
  const [only, ...others] = registered
  if (only === undefined) return undefined
  if (others.length === 0) return { name: only, why: 'the only one that the package registers', isRegistered: true }
  throw new BuildpackError(`the package has several functions: ${registered.join(', ')}`, {
    where: mod,
    fix: `set GOOGLE_FUNCTION_TARGET to the one to serve: GOOGLE_FUNCTION_TARGET=${only}`,
  })
}

/** The texts of the package in a directory, without its tests. */
async function sourcesIn(app: App, dir: string): Promise<string[]> {
  const names = (await readdir(app.at(dir))).filter(name => name.endsWith('.go') && !name.endsWith('_test.go'))
  return Promise.all(names.toSorted().map(async name => (await app.read(posix.join(dir, name))) ?? ''))
}

/** The names in `functions.HTTP("HelloWorld", helloWorld)` and the like. */
function registeredIn(source: string): string[] {
  const calls = source.matchAll(/\bfunctions\.(?:HTTP|CloudEvent|Typed)\(\s*"([^"\\]+)"/g)
  return Array.from(calls, ([, name = '']) => name)
}

/** How the framework takes an exported function. */
const signatures = {
  http: 'RegisterHTTPFunctionContext',
  event: 'RegisterEventFunctionContext',
  cloudevent: 'RegisterCloudEventFunctionContext',
} as const

function signatureOf(env: Readonly<Record<string, string>>): (typeof signatures)[keyof typeof signatures] {
  const setting = firstSetting(env, 'GOOGLE_FUNCTION_SIGNATURE_TYPE')
  const register = Object.entries(signatures).find(([name]) => name === (setting?.value ?? 'http'))?.[1]
  if (register !== undefined) return register
  throw new BuildpackError(`${JSON.stringify(setting?.value)} is not a type of a function`, {
    where: setting?.name ?? '',
    fix: `write one of ${Object.keys(signatures).join(', ')}`,
  })
}

function source(path: string, { name, isRegistered }: Target, register: string): string {
  const registration = isRegistered
    ? ''
    : `	if err := funcframework.${register}(context.Background(), "/", function.${name}); err != nil {
		log.Fatal(err)
	}
`
  return `package main

import (
${isRegistered ? '' : '\t"context"\n'}	"log"
	"os"

	"${framework}/funcframework"
	${isRegistered ? '_' : 'function'} "${path}"
)

func main() {
${registration}	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	log.Fatal(funcframework.Start(port))
}
`
}
