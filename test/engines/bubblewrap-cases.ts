import { engineContract } from '../contracts/engines.ts'
import { suiteWith } from '../helpers/skip.ts'
import { attemptCases } from './attempt-cases.ts'
import { neededTools, openSandbox } from './harness.ts'
import { mountCases } from './mount-cases.ts'
import { programCases } from './program-cases.ts'
import { networkCases, viewCases } from './view-cases.ts'

/** The same cases for root and for an ordinary user, since Bale sets up their sandboxes differently. */
export function bubblewrapCases(): void {
  suiteWith('bubblewrap', neededTools('bwrap', 'cc'), () => {
    engineContract('bubblewrap', openSandbox)
    attemptCases()
    viewCases()
    networkCases()
    mountCases()
    programCases()
  })
}
