import { buildpack } from './buildpack.ts'
import { platform } from './platform.ts'
import type { Document } from './table.ts'

export const documents: readonly Document[] = [buildpack, platform]
