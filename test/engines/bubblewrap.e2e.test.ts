import { bubblewrapCases } from './bubblewrap-cases.ts'

// As whoever runs it: root in most containers, an ordinary user at home.
bubblewrapCases()
