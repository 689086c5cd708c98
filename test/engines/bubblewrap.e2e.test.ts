import { bubblewrapCases } from './bubblewrap-cases.ts'

// Runs as the current user: root in most containers, an ordinary user on a developer's machine.
bubblewrapCases()
