import { runImageCases } from './run-image-cases.ts'

// As whoever runs it: root in most containers, an ordinary user at home.
runImageCases()
