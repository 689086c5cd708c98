/** Everything a program may import: `import { build } from 'bale'`. */
export { type BuildOptions, type BuildResult, build, exitStatusOf } from './build.ts'
export type { Settings } from './builder/settings.ts'
export { type RebaseOptions, type RebaseResult, rebase } from './rebase.ts'
export { BaleError, type ErrorCode, type PhaseName } from './errors.ts'
export { type BuildEvent, type Reporter, silent } from './events.ts'
export type { Image } from './image/image.ts'
export type { Published } from './stores/store.ts'
