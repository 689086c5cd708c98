import { setFlagsFromString } from 'node:v8'
import api from 'undici/lib/api/index.js'
import Agent from 'undici/lib/dispatcher/agent.js'
import Dispatcher from 'undici/lib/dispatcher/dispatcher.js'
import EnvHttpProxyAgent from 'undici/lib/dispatcher/env-http-proxy-agent.js'
import Pool from 'undici/lib/dispatcher/pool.js'

// undici's parser is one WebAssembly function of 33 KB. V8 counts each of its long jumps as much executed code, and after some
// eight requests optimizes it on another thread: 65 ms of processor time, which the end of the process waits for. With 16 times
// V8's budget, only a process with many requests does so. V8 reads the flag when a module is compiled.
setFlagsFromString('--wasm-tiering-budget=208000000')

// As undici's index does: `request` of a dispatcher.
Object.assign(Dispatcher.prototype, api)

/**
 * The parts of undici that stores use: they load in half the time of its index, which has WebSocket, fetch and mocks too. Import
 * this file dynamically: most commands use no network. It is a file because a bundler turns a CommonJS package that is imported
 * dynamically into one default export.
 */
export { Agent, EnvHttpProxyAgent, Pool }
