import { readdir } from 'node:fs/promises'
import { posix } from 'node:path'
import { App } from './app.ts'
import { languageSettings, weighLanguages } from './detection.ts'
import { type Evidence, findEvidence } from './evidence.ts'
import { builtLanguages, builtManifests, listed } from './language-names.ts'
import { shellQuote } from './launch.ts'
import { firstSetting } from './platform.ts'

type Env = Readonly<Record<string, string>>

/** The message for an application that no buildpack builds. */
export async function explainUnsupported({ app, env }: { app: App; env: Env }): Promise<string> {
  const { server } = await weighLanguages(app, env)
  const builds = `Bale builds ${builtLanguages()}, and starts what a Procfile names`
  if (server === undefined) {
    const below = await applicationsBelow(app)
    if (below.length > 0) return explainBelow(below)
    const dockerfile = (await app.has('Dockerfile')) ? ', and it does not read Dockerfiles' : ''
    return `Bale does not recognise this application${dockerfile}; ${builds}; it looks for ${builtManifests()}`
  }
  const { name, provides, instead, makesSite } = server.language
  const setting = firstSetting(env, ...languageSettings)
  if (setting && !(await findEvidence(app, env)).some(({ language }) => language === server.language)) {
    return `${setting.name} is ${setting.value}, but the source has no files of ${name}`
  }
  const article = /^(E|O|R$|md)/.test(name) ? 'an' : 'a'
  if (provides !== undefined) {
    return `this looks like ${article} ${name} application (${server.because}), which the buildpacks of this builder cannot build`
  }
  const looks = `this looks like ${article} ${name} ${makesSite ? 'site' : 'application'} (${server.because})`
  if (makesSite) return `${looks}; ${instead}`
  return instead === undefined ? `${looks}; ${builds}` : `${looks}; ${builds}; the nearest way: ${instead}`
}

/** An application in a folder of a repository. */
interface Below {
  readonly dir: string
  readonly evidence: Evidence
}

/** Folders that hold other people's files, or that are not applications of their own. */
const ignored = /^(\.|node_modules$|vendor$|target$|dist$|build$|docs?$|tests?$|examples?$|fixtures$)/

/** The applications in the folders of a source that has none at its root, and in the folders of those folders: `backend`, `apps/web`. */
async function applicationsBelow(app: App, dir = '.', depth = 2): Promise<Below[]> {
  if (depth === 0) return []
  // An unreadable folder says nothing about what could be built.
  const entries = await readdir(app.at(dir), { withFileTypes: true }).catch(() => [])
  const found: Below[] = []
  for (const { name } of entries.filter(entry => entry.isDirectory() && isPlain(entry.name))) {
    const path = posix.join(dir, name)
    const server = await serverIn(new App(app.at(path)))
    // Source files without a manifest may be part of anything.
    if (server !== undefined && server.strength !== 'sources') found.push({ dir: path, evidence: server })
    else found.push(...(await applicationsBelow(app, path, depth - 1)))
  }
  return found.toSorted((a, b) => (a.dir < b.dir ? -1 : 1))
}

/** A name without characters that a terminal would change. */
const isPlain = (name: string) => !ignored.test(name) && /^[\p{L}\p{N} ._@+-]+$/u.test(name)

const serverIn = async (app: App): Promise<Evidence | undefined> =>
  weighLanguages(app, {}).then(
    ({ server }) => server,
    () => undefined,
  )

function explainBelow(below: readonly Below[]): string {
  const shown = below.slice(0, 6).map(({ dir, evidence }) => `${dir} (${evidence.language.name}: ${evidence.because})`)
  const more = below.length > shown.length ? [`${below.length - shown.length} more`] : []
  const which = below.length > 1 ? 'build one of them' : 'build it'
  return `the application is not at the root of the source, but in ${listed([...shown, ...more])}; ${which} with --path ${shellQuote(below[0]?.dir ?? '')}`
}
