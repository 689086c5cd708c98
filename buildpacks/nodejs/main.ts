import { invocationOf, runBuildpack } from '../sdk/index.ts'
import { nodejs } from './nodejs.ts'

void runBuildpack(nodejs, invocationOf(process)).then(status => (process.exitCode = status))
