/** Everything a program may import: `import { build } from 'bale'`. */
export { type BuildOptions, type BuildResult, build, exitStatusOf } from './platform/build-app.ts'
export type { Settings } from './platform/settings.ts'
export { type RebaseOptions, type RebaseResult, rebase } from './platform/rebase-app.ts'
export { BaleError, type ErrorCode, type PhaseName } from './errors.ts'
export { type BuildEvent, type Reporter, silent } from './events.ts'
export type { Image } from './image/image.ts'
export type { Published } from './stores/store.ts'
