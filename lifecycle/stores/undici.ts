import api from 'undici/lib/api/index.js'
import Agent from 'undici/lib/dispatcher/agent.js'
import Dispatcher from 'undici/lib/dispatcher/dispatcher.js'
import EnvHttpProxyAgent from 'undici/lib/dispatcher/env-http-proxy-agent.js'
import Pool from 'undici/lib/dispatcher/pool.js'

// As undici's index does: `request` of a dispatcher.
Object.assign(Dispatcher.prototype, api)

/**
 * The parts of undici that stores use: they load in half the time of its index, which has WebSocket, fetch and mocks too. Import
 * this file dynamically: most commands use no network. It is a file because a bundler turns a CommonJS package that is imported
 * dynamically into one default export.
 */
export { Agent, EnvHttpProxyAgent, Pool }
