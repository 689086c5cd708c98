/**
 * The parts of undici that stores use. Import this file dynamically: undici takes 120 ms to load, and most commands use no
 * network. It is a file because a bundler turns a CommonJS package that is imported dynamically into one default export.
 */
export { Agent, EnvHttpProxyAgent, Pool } from 'undici'
