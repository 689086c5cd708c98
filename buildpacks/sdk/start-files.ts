/** Extensions of scripts that Node.js runs directly, the usual one first. */
const scripts = ['js', 'mjs', 'cjs']
const typed = ['ts', 'mts', 'cts']

const named = (names: readonly string[], endings: readonly string[]) =>
  names.flatMap(name => endings.map(ending => `${name}.${ending}`))

/** The file that `npm start` runs without a script (docs.npmjs.com, "npm-start": server.js), with any extension. */
export const serverScripts = named(['server'], scripts)

/** Further usual names of start files. */
export const otherScripts = named(['index', 'app', 'main'], scripts)

/** The same names in TypeScript. */
export const typedStarts = named(['server', 'index', 'app', 'main'], typed)

/** Files that make an application a server: other files do not have these names. */
export const serverFiles = [...serverScripts, ...named(['server'], typed)]
