/** Endings of scripts that Node.js runs as they are, the usual one first. */
const scripts = ['js', 'mjs', 'cjs']
const typed = ['ts', 'mts', 'cts']

const named = (names: readonly string[], endings: readonly string[]) =>
  names.flatMap(name => endings.map(ending => `${name}.${ending}`))

/** What `npm start` runs without a script (docs.npmjs.com, "npm-start": server.js), whatever its ending. */
export const serverScripts = named(['server'], scripts)

/** What else people name the start of an application. */
export const otherScripts = named(['index', 'app', 'main'], scripts)

/** The same in TypeScript. */
export const typedStarts = named(['server', 'index', 'app', 'main'], typed)

/** Files that make an application a server: nothing else has these names. */
export const serverFiles = [...serverScripts, ...named(['server'], typed)]
