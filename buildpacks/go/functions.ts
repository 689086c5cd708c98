import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { posix } from 'node:path'
import {
  type App,
  type BuildContext,
  BuildpackError,
  chooseFunction,
  declaredStart,
  firstSetting,
} from '../sdk/index.ts'
import type { GoCommand } from './command.ts'
import { type GoProgram, hasPrograms, listPackages, namesPrograms } from './programs.ts'
import type { Project } from './project.ts'

const framework = 'github.com/GoogleCloudPlatform/functions-framework-go'
/** The default version for a module that does not require the framework, as in Google's builder. */
const frameworkVersion = 'v1.9.2'
const server = `${framework}/funcframework`

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
  /** The call that registers an exported function; undefined if the package registers its function at its start. */
  readonly register?: (typeof signatures)[keyof typeof signatures]
}

/**
 * Writes the program for a function that has none of its own (Functions Framework for Go, "Declarative function signatures"). The
 * function is the one that GOOGLE_FUNCTION_TARGET names, else the only one that the module's package registers. undefined if there is
 * no function, or only the application's own program.
 * @throws BuildpackError if the package registers several, and nothing decides
 */
export async function writeFunctionProgram(
  context: BuildContext,
  project: Project,
  go: GoCommand,
): Promise<FunctionProgram | undefined> {
  const { app, env } = context
  if (project.kind !== 'module') return undefined
  const { dir } = project
  const mod = posix.join(dir, 'go.mod')
  const isRequired = (await app.read(mod))?.includes(framework) === true
  const isNamed = firstSetting(env, 'GOOGLE_FUNCTION_TARGET') !== undefined
  if (!isRequired && !isNamed) return undefined
  // The user's own start precedes a function's.
  if (namesPrograms(env, project) || (await declaredStart(app, env)) !== undefined) return undefined
  if (!isNamed && (await hasPrograms(context, project, go))) return undefined
  const sources = await sourcesIn(app, dir)
  if (sources.length === 0) return undefined
  const [own] = await listPackages(go, app.at(dir), ['.'])
  if (own === undefined || own.isMain) return undefined
  const target = await targetOf(app, env, sources, mod)
  if (target === undefined) return undefined
  const folder = await newFolder(app, dir)
  await mkdir(app.at(dir, folder))
  await writeFile(app.at(dir, folder, 'main.go'), source(own.package, target))
  const program = { name: 'function', dir, package: `./${folder}` }
  const served = { program, target: target.name, why: target.why }
  if (await isVendored(app, dir)) return { ...served, go }
  // Checksums of modules that only the framework needs may be missing; Go checks the modules that it adds.
  const adding = go.with({ env: { GOFLAGS: `${go.env['GOFLAGS']} -mod=mod` } })
  if (!isRequired) await adding.run(['get', `${framework}@${frameworkVersion}`], { quiet: true })
  return { ...served, go: adding }
}

/** A folder that does not exist yet. Patterns such as `./...` do not match its name. */
async function newFolder(app: App, dir: string): Promise<string> {
  const names = await readdir(app.at(dir))
  let folder = '_function'
  while (names.includes(folder)) folder += '_'
  return folder
}

/** @throws BuildpackError for a vendor folder without the package that serves functions */
async function isVendored(app: App, dir: string): Promise<boolean> {
  const where = posix.join(dir, 'vendor/modules.txt')
  const list = await app.read(where)
  if (list === undefined) return false
  if (list.split('\n').includes(server)) return true
  throw new BuildpackError(`the vendor folder lacks ${server}, which serves the function`, {
    where,
    fix: `import it in a file of the module (import _ "${server}"), and run "go mod vendor"; or leave the folder out of the source`,
  })
}

async function targetOf(
  app: App,
  env: Readonly<Record<string, string>>,
  sources: readonly string[],
  mod: string,
): Promise<Target | undefined> {
  const registered = sources.flatMap(registeredIn)
  const chosen = await chooseFunction(app, env, registered, mod)
  if (chosen === undefined) return undefined
  const { name, setting } = chosen
  if (registered.includes(name)) return { name, why: setting ?? 'the only function that the package registers' }
  if (/^\p{Lu}\w*$/u.test(name)) return { name, why: setting ?? '', register: signatureOf(env) }
  throw new BuildpackError(`${JSON.stringify(name)} is not a function that the package registers or exports`, {
    where: setting ?? '',
    fix:
      registered.length > 0
        ? `write one of ${registered.join(', ')}`
        : 'write the name of a function that the package exports',
  })
}

/** The sources of the package in a directory, without its tests. */
async function sourcesIn(app: App, dir: string): Promise<string[]> {
  const names = (await readdir(app.at(dir))).filter(name => name.endsWith('.go') && !name.endsWith('_test.go'))
  return Promise.all(names.toSorted().map(async name => (await app.read(posix.join(dir, name))) ?? ''))
}

const packageOfFunctions = new RegExp(
  `(?:\\b(?!import\\b)(\\w+)[ \\t]+)?"${framework.replaceAll('.', '\\.')}/functions"`,
)

/** The names in `functions.HTTP("HelloWorld", helloWorld)` and similar calls; none for a file that is excluded from builds. */
function registeredIn(source: string): string[] {
  if (/^\/\/go:build ignore$/m.test(source)) return []
  const code = source.replaceAll(/\/\*[^]*?\*\/|(?<![:"'`\w])\/\/.*/g, '')
  const imported = packageOfFunctions.exec(code)
  if (imported === null) return []
  const name = imported[1] ?? 'functions'
  const calls = code.matchAll(new RegExp(`\\b${name}\\.(?:HTTP|CloudEvent|Typed)\\(\\s*(["\`])([^"\`\\\\]+)\\1`, 'g'))
  return Array.from(calls, ([, , target = '']) => target)
}

/** How the framework registers an exported function. */
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

function source(path: string, { name, register }: Target): string {
  const registration =
    register === undefined
      ? ''
      : `	if err := funcframework.${register}(context.Background(), "/", function.${name}); err != nil {
		log.Fatal(err)
	}
`
  return `package main

import (
${register === undefined ? '' : '\t"context"\n'}	"log"
	"os"

	"${server}"
	${register === undefined ? '_' : 'function'} "${path}"
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
