import type { App } from './app.ts'
import type { FrontEnd } from './front-end-tools.ts'
import { serverFiles } from './start-files.ts'
import { readManifest } from './package-manifest.ts'
import type { Strength } from './strength.ts'
import { findWebFramework } from './web-frameworks.ts'

/**
 * The evidence of a package.json for Node.js. With a start script, a main file or a server.js the application may start with Node;
 * otherwise the file may exist only for a front end's tools. undefined if there is no package.json.
 */
export async function packageJsonEvidence(
  app: App,
  frontEnd: FrontEnd | undefined,
): Promise<{ strength: Strength; because: string } | undefined> {
  if (!(await app.has('package.json'))) return undefined
  // A guess counts only after all other evidence is known.
  if (frontEnd && !frontEnd.guessed) return { strength: 'manifest', because: 'package.json' }
  const json = await readManifest(app)
  if (typeof json.scripts?.['start'] === 'string' && json.scripts['start'].trim() !== '') {
    return { strength: 'server', because: 'package.json with a start script' }
  }
  const main = typeof json.main === 'string' ? json.main : undefined
  if (main !== undefined) {
    const file = await app.firstOf([main, `${main}.js`, `${main.replace(/\/$/, '')}/index.js`])
    if (file !== undefined) return { strength: 'server', because: `package.json with the main file ${file}` }
  }
  const server = await app.firstOf(serverFiles)
  if (server !== undefined) return { strength: 'server', because: `package.json and ${server}` }
  const framework = await findWebFramework(app)
  if (framework !== undefined) return { strength: 'server', because: `package.json with ${framework}` }
  return { strength: 'manifest', because: 'package.json' }
}

const buildScripts = ['build', 'heroku-build', 'heroku-prebuild', 'heroku-postbuild', 'gcp-build', 'apphosting:build']

/**
 * Why Node.js has something to build for a server in another language; undefined if it has not.
 * @param frontEnd the front end that the server shows
 */
export async function frontEndWork(
  app: App,
  env: Readonly<Record<string, string>>,
  frontEnd: FrontEnd | undefined,
): Promise<string | undefined> {
  const setting = ['BP_NODE_RUN_SCRIPTS', 'GOOGLE_NODE_RUN_SCRIPTS'].find(name => env[name] !== undefined)
  if (setting !== undefined && (await app.has('package.json'))) return env[setting] ? `${setting} is set` : undefined
  const json = await readManifest(app)
  const script = buildScripts.find(name => typeof json.scripts?.[name] === 'string')
  if (script !== undefined) return `package.json has a script "${script}"`
  if (frontEnd !== undefined) return `${frontEnd.name} builds the front end`
  // A page may load an installed package, such as Bootstrap from node_modules. If there are only devDependencies, their tools are not
  // part of the application.
  return Object.keys(json.dependencies ?? {}).length > 0 ? 'package.json has dependencies' : undefined
}
