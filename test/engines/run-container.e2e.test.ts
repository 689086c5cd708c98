import { runImageCases } from './run-container-cases.ts'

// As whoever runs it: root in most containers, an ordinary user at home.
runImageCases()
