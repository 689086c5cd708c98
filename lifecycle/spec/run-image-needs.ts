import type { Label } from './types.ts'

/**
 * A label of Bale's, which a buildpack writes into launch.toml if each of its processes is one statically linked program that starts
 * no other and reads nothing of the run image but certificates, time zones and accounts. The image can then do with a smaller one.
 */
export const needsNothing: Label = { key: 'io.bale.run-image.needs', value: 'nothing' }
