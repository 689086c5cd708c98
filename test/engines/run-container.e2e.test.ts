import { runImageCases } from './run-container-cases.ts'

// Runs as the current user: root in most containers, an ordinary user on a developer's machine.
runImageCases()
