import { invocationOf, runBuildpack } from '../sdk/index.ts'
import { nodejs } from './nodejs.ts'

process.exitCode = await runBuildpack(nodejs, invocationOf(process))
