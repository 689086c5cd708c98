/** The Redis client, in a file of its own so that it is loaded only by builds that use it; see scripts/bundle.mjs. */
export { RESP_TYPES, createClient } from '@redis/client'
