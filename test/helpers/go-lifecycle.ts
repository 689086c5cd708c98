import { goPrograms } from './go-programs.ts'
import type { Available } from './skip.ts'

const version = 'v0.21.0'
const commands = 'github.com/buildpacks/lifecycle/cmd'

/** Phases that the program `lifecycle` is, by the name under which it is called. */
export const goPhases = ['analyzer', 'detector', 'restorer', 'builder', 'exporter', 'creator', 'rebaser'] as const

/** The directory with the programs of the Go lifecycle: a minute and a half of CPU time the first time. */
export const goLifecycle = (): Promise<Available<string>> =>
  goPrograms({
    name: `go-lifecycle/${version}`,
    programs: { lifecycle: `${commands}/lifecycle`, launcher: `${commands}/launcher` },
    modules: ['lifecycle', 'launcher'].map(name => `${commands}/${name}@${version}`),
  })
