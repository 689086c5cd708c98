/**
 * What we use of undici, to be imported dynamically: it takes 120 ms to load, and most commands talk to no network. A
 * file of our own, because a bundler makes a CommonJS package that is imported dynamically into one default export.
 */
export { Agent, EnvHttpProxyAgent, Pool } from 'undici'
