import type { Label } from './types.ts'

/**
 * A label of Bale, which a buildpack writes into launch.toml if each of its processes is one statically linked program that starts
 * no other and reads only certificates, time zones and accounts of the run image. Then a smaller run image is enough.
 */
export const needsNothing: Label = { key: 'io.bale.run-image.needs', value: 'nothing' }
